{#-
Schemes are data: the var `schemes` holds one mapping per scheme file. These macros turn them into SQL.

A value is a number, a column, or one of
    {times: [v, v, ...]}  {plus: [v, ...]}  {minus: [v, w]}  {divide: [v, w]}  {least: [v, ...]}  {greatest: [v, ...]}
A condition maps columns to tests, all of which must hold:
    {variant: {in: ["1", "2"]}, amount: {above: entitled_amount}, period_start: {from: "2020-04-06"}}
Anything else stops the build with a message that names the scheme.
-#}

{% macro scheme_columns() -%}
    {{ return({
        'number': [
            'amount', 'basis_amount', 'allowance_amount', 'entitled_amount', 'turnover_fall_percent', 'normal_hours',
            'worked_hours', 'furloughed_hours', 'sick_days', 'repayment_months', 'employer_size', 'period_days',
            'month_days'
        ],
        'text': ['variant', 'nino_status', 'utr_status', 'bank_account_status', 'account_name_match'],
        'date': ['period_start', 'period_end', 'submitted_at'],
        'list': ['overlapping_schemes'],
    }) }}
{%- endmacro %}

{#- The scheme files, checked: names become part of SQL, so they hold only letters, digits and _. -#}
{% macro checked_schemes() -%}
    {%- set keys = ['scheme', 'name', 'description', 'basis', 'account_owner', 'entitlements', 'rules'] -%}
    {%- for scheme in var('schemes') -%}
        {%- set name = scheme.scheme | string -%}
        {%- for key in scheme if key not in keys -%}
            {{ scheme_error(name, 'no field ' ~ key, keys) }}
        {%- endfor -%}
        {%- for key in keys if key not in scheme -%}
            {{ scheme_error(name, key ~ ' is missing', keys) }}
        {%- endfor -%}
        {%- if scheme.account_owner not in ['claimant', 'employer'] -%}
            {{ scheme_error(name, 'no account owner ' ~ scheme.account_owner, ['claimant', 'employer']) }}
        {%- endif -%}
        {%- for part in scheme.entitlements -%}
            {{ check_scheme_part(name, part, ['when', 'amount'], ['amount']) }}
        {%- endfor -%}
        {%- for part in scheme.rules -%}
            {{ check_scheme_part(name, part, ['id', 'says', 'when', 'breach'], ['id', 'breach']) }}
        {%- endfor -%}
        {%- for word in [name] + scheme.rules | map(attribute='id') | list -%}
            {%- if not modules.re.fullmatch('[A-Za-z][A-Za-z0-9_]*', word | string) -%}
                {{ scheme_error(name, 'no name ' ~ word, ['letters, digits and _']) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(var('schemes')) }}
{%- endmacro %}

{#- A misspelt `when` or `breach` would hold for every claim. -#}
{% macro check_scheme_part(scheme, part, keys, required) -%}
    {%- for key in part if key not in keys -%}
        {{ scheme_error(scheme, 'no field ' ~ key, keys) }}
    {%- endfor -%}
    {%- for key in required if not part.get(key) and part.get(key) is not number -%}
        {{ scheme_error(scheme, key ~ ' is missing or empty', keys) }}
    {%- endfor -%}
{%- endmacro %}

{% macro scheme_error(scheme, what, allowed) -%}
    {{ exceptions.raise_compiler_error('Scheme ' ~ scheme ~ ': ' ~ what ~ '. Allowed: ' ~ allowed | join(', ') ~ '.') }}
{%- endmacro %}

{#- Every step is rounded to six decimals; what does not fit becomes null rather than an error for all rows. -#}
{% macro scheme_step(expression) -%}
    {{ safe_cast(expression, 'decimal(18, 6)') }}
{%- endmacro %}

{% macro scheme_value(scheme, value) -%}
    {%- if value is number -%}
        {{ return('cast(' ~ value ~ ' as decimal(18, 6))') }}
    {%- elif value is string -%}
        {%- if value not in scheme_columns()['number'] -%}
            {{ scheme_error(scheme, 'no number column ' ~ value, scheme_columns()['number']) }}
        {%- endif -%}
        {{ return('cast(' ~ value ~ ' as decimal(18, 6))') }}
    {%- elif value is mapping and value | length == 1 -%}
        {%- set word, parts = (value.items() | list)[0] -%}
        {%- set terms = [] -%}
        {%- for part in parts -%}
            {%- do terms.append(scheme_value(scheme, part)) -%}
        {%- endfor -%}
        {%- if word in ['times', 'plus'] -%}
            {%- set sign = {'times': ' * ', 'plus': ' + '}[word] -%}
            {%- set ns = namespace(sql=terms[0]) -%}
            {%- for term in terms[1:] -%}
                {%- set ns.sql = scheme_step(ns.sql ~ sign ~ term) -%}
            {%- endfor -%}
            {{ return(ns.sql) }}
        {%- elif word == 'minus' and terms | length == 2 -%}
            {{ return(scheme_step(terms[0] ~ ' - ' ~ terms[1])) }}
        {%- elif word == 'divide' and terms | length == 2 -%}
            {{ return(scheme_step(terms[0] ~ ' / nullif(' ~ terms[1] ~ ', 0)')) }}
        {%- elif word in ['least', 'greatest'] -%}
            {{ return(scheme_extreme(word, terms)) }}
        {%- endif -%}
    {%- endif -%}
    {{ scheme_error(scheme, 'cannot work out ' ~ value, ['a number', 'a column', 'times', 'plus', 'minus', 'divide',
        'least', 'greatest']) }}
{%- endmacro %}

{#- `least` skips nulls in some engines; an entitlement with an unknown part must stay unknown. -#}
{% macro scheme_extreme(word, terms) -%}
    {%- set known = [] -%}
    {%- for term in terms -%}
        {%- do known.append(term ~ ' is not null') -%}
    {%- endfor -%}
    {{ return('case when ' ~ known | join(' and ') ~ ' then ' ~ word ~ '(' ~ terms | join(', ') ~ ') end') }}
{%- endmacro %}

{% macro scheme_condition(scheme, condition) -%}
    {%- set columns = scheme_columns() -%}
    {%- set signs = {'above': '>', 'at_least': '>=', 'below': '<', 'at_most': '<='} -%}
    {%- set tests = [] -%}
    {%- for column, test in (condition or {}).items() -%}
        {%- for word, wanted in test.items() -%}
            {%- if word == 'missing' and wanted is boolean -%}
                {%- do tests.append(column ~ (' is null' if wanted else ' is not null')) -%}
            {%- elif column in columns['number'] and word in signs -%}
                {%- do tests.append(column ~ ' ' ~ signs[word] ~ ' ' ~ scheme_value(scheme, wanted)) -%}
            {%- elif column in columns['text'] and word in ['is', 'in', 'not_in'] -%}
                {%- set sign = ' not in ' if word == 'not_in' else ' in ' -%}
                {%- do tests.append(column ~ sign ~ in_list([wanted] if word == 'is' else wanted)) -%}
            {%- elif column in columns['list'] and word == 'has' and modules.re.fullmatch('[A-Za-z0-9_]+', wanted) -%}
                {%- do tests.append("',' || " ~ column ~ " || ',' like '%," ~ wanted ~ ",%'") -%}
            {%- elif column in columns['date'] and word in ['from', 'to']
                and modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', wanted | string) -%}
                {%- do tests.append('cast(' ~ column ~ ' as date) ' ~ ('>=' if word == 'from' else '<=')
                    ~ " date '" ~ wanted ~ "'") -%}
            {%- else -%}
                {%- set words = signs.keys() | list + ['is', 'in', 'not_in', 'has', 'from', 'to', 'missing'] -%}
                {{ scheme_error(scheme, 'cannot test ' ~ column ~ ' for ' ~ word, columns['number'] + columns['text']
                    + columns['list'] + columns['date'] + words) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(tests | join(' and ') or 'true') }}
{%- endmacro %}

{#- Who should own the account that the money goes to. -#}
{% macro account_owner() -%}
    case
    {%- for scheme in checked_schemes() if scheme.account_owner == 'employer' %}
        when scheme = '{{ scheme.scheme }}' then employer_name
    {%- endfor %}
        else claimant_name
    end
{%- endmacro %}

{#- What the scheme allows, in pounds: the first entitlement whose condition holds; null where none does. -#}
{% macro entitled_amount() -%}
    {%- set cases = [] -%}
    {%- for scheme in checked_schemes() -%}
        {%- for entitlement in scheme.entitlements -%}
            {%- do cases.append('when scheme = \'' ~ scheme.scheme ~ '\' and '
                ~ scheme_condition(scheme.scheme, entitlement.when) ~ ' then '
                ~ scheme_value(scheme.scheme, entitlement.amount)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if cases -%}
        {{ safe_cast('case ' ~ cases | join('\n        ') ~ ' end', 'decimal(14, 2)') }}
    {%- else -%}
        cast(null as decimal(14, 2))
    {%- endif -%}
{%- endmacro %}

{#- The broken rules of all schemes as a list of SQL expressions, each the rule's id or null. -#}
{% macro scheme_breaches() -%}
    {%- set found = [] -%}
    {%- for scheme in checked_schemes() -%}
        {%- for rule in scheme.rules -%}
            {%- do found.append('case when scheme = \'' ~ scheme.scheme ~ '\' and '
                ~ scheme_condition(scheme.scheme, rule.when) ~ ' and ' ~ scheme_condition(scheme.scheme, rule.breach)
                ~ ' then \'' ~ rule.id ~ '\' end') -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found or ['cast(null as varchar)']) }}
{%- endmacro %}
