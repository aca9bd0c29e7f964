{#-
Features in batch: SQL made of a declaration, `data_products/<domain>/features/<product>.yaml`.

The platform compiles its expressions (mesh.features.batch) and hands it over as a variable named like the product. What
an aggregate means, and the law that only strictly earlier facts count, is told in docs/features.md; the same
declaration is worked out row by row by the decision service, to the same last bit.

Windows run over microseconds and end one microsecond before the row, so rows of the same moment do not see each other.
Rows without the key of an entity are left out: they share nothing, and as one group they would be the largest.
-#}

{#- The declaration of a product. To lint its models none is needed: what macros write is not looked at. -#}
{% macro declared(product) -%}
    {%- set found = var(product, none) -%}
    {%- if found is none and execute and target.name != 'lint' -%}
        {{ exceptions.raise_compiler_error('No features are declared for ' ~ product
            ~ '. Allowed: a product with a file in data_products/*/features.') }}
    {%- endif -%}
    {{ return(found or {
        'product': none, 'key': ['nothing'], 'time': 'nothing', 'row': ['nothing'], 'published': ['nothing'],
        'delivered': [{'name': 'nothing', 'sql': 'null'}], 'carried': [], 'steps': [], 'entities': {}, 'events': {},
        'lookups': {}, 'overlaps': {},
    }) }}
{%- endmacro %}

{#- One of a declaration's entities, events, lookups or overlaps. -#}
{% macro declared_part(features, kind, name) -%}
    {%- if features.product is not none and name not in features[kind] -%}
        {{ exceptions.raise_compiler_error(features.product ~ ' declares no ' ~ name ~ ' under ' ~ kind
            ~ '. Allowed: ' ~ features[kind] | join(', ') ~ '.') }}
    {%- endif -%}
    {{ return(features[kind].get(name, {
        'key': ['nothing'] if kind in ('entities', 'overlaps') else 'nothing', 'row_key': 'nothing', 'time': 'nothing',
        'keys': ['nothing'], 'start': 'nothing', 'end': 'nothing', 'label': 'nothing', 'values': [], 'windows': [],
        'distinct': [], 'events': [],
    })) }}
{%- endmacro %}

{#- The names of all columns that an entity's history has. -#}
{% macro entity_columns(entity) -%}
    {{ return(
        entity.windows | map(attribute='name') | list
        + ([entity.since_first] if entity.since_first else [])
        + entity.distinct | map(attribute='name') | list
        + entity.events | map(attribute='name') | list
    ) }}
{%- endmacro %}

{#- What a staging view makes of the raw table `delivered`: every submitted field with its type and form. -#}
{% macro delivered_columns(features) -%}
    {%- for column in features.delivered %}
        {{ column.sql }} as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The columns of rows that anything is made of, and their moment in microseconds. -#}
{% macro feature_rows(features, rows) %}
with final as (
    select
        {%- for name in features.row %}
        {{ name }},
        {%- endfor %}
        {{ microseconds(features.time) }} as moment_us
    from {{ rows }}
)

select * from final
{% endmacro %}

{% macro window_before(partition, span) -%}
    over (
            partition by {{ partition }}
            order by moment_us
            range between {{ 'unbounded' if span is none else span }} preceding and 1 preceding
        )
{%- endmacro %}

{#- Whether all of these columns have a value. -#}
{% macro all_known(columns, of='') -%}
    {%- for column in columns -%}
        {{ of }}{{ column }} is not null{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- A join on columns of one name. -#}
{% macro same(columns, left, right) -%}
    {%- for column in columns -%}
        {{ left }}.{{ column }} = {{ right }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#-
A timeline: one row per event with the entities it belongs to and its moment.

Args:
    rows: the rows that events are about, where they are about a row.
-#}
{% macro event_rows(features, name, events, rows=none) %}
{%- set event = declared_part(features, 'events', name) %}
with events as (
    select
        {%- if event.row %}
        {{ event.row }} as about,
        {%- else %}
        {%- for key in event['keys'] %}
        {{ key }},
        {%- endfor %}
        {%- endif %}
        {{ microseconds(event.time) }} as moment_us
    from {{ events }}
    where
        {{ event.time }} is not null
        {%- if event.where %}
        and {{ event.where }}
        {%- endif %}
),

{%- if event.row %}

noted as (
    select
        about,
        {{ 'min(moment_us) as moment_us' if event.first else 'moment_us' }}
    from events
    {{ 'group by about' if event.first }}
),

final as (
    select
        {%- for key in event['keys'] %}
        about_rows.{{ key }},
        {%- endfor %}
        noted.moment_us
    from noted
    inner join {{ rows }} as about_rows on noted.about = about_rows.{{ features.key[0] }}
)
{%- else %}

final as (
    select * from events
)
{%- endif %}

select * from final
{% endmacro %}

{#- Facts of what rows name: one row per key of the product. -#}
{% macro lookup_rows(features, name, product) %}
{%- set lookup = declared_part(features, 'lookups', name) %}
with final as (
    select
        {{ lookup.key }} as {{ lookup.row_key }}
        {%- for value in lookup['values'] %},
        {{ value.function }}({{ value.column }}) as {{ value.name }}
        {%- endfor %}
    from {{ product }}
    where {{ lookup.key }} is not null
    group by {{ lookup.key }}
)

select * from final
{% endmacro %}

{#-
What was known from earlier rows of an entity, and from its events, exactly as of each row.

Args:
    events: the timelines that the entity counts, by their names.
-#}
{% macro entity_history(features, name, rows, events={}) %}
{%- set entity = declared_part(features, 'entities', name) -%}
{%- set partition = entity.key | join(', ') -%}
{%- set key = features.key -%}
{%- set summed = [] -%}
{%- for column in entity.windows | map(attribute='sum') | list + entity.distinct | map(attribute='column') | list
    if column and column not in summed + key + entity.key -%}
    {%- do summed.append(column) -%}
{%- endfor %}
with claimed as (
    select
        {%- for column in key + (entity.key | reject('in', key) | list) + summed %}
        {{ column }},
        {%- endfor %}
        moment_us
    from {{ rows }}
    where {{ all_known(entity.key) }}
),

marked as (
    select
        *
        {%- for one in entity.distinct %},
        case
            when {{ one.column }} is null then 0
            when row_number() over (
                partition by {{ partition }}, {{ one.column }}
                order by moment_us, {{ key | join(', ') }}
            ) = 1 then 1
            else 0
        end as first_{{ one.name }}
        {%- endfor %}
    from claimed
),

counted as (
    select
        {%- for column in key %}
        {{ column }},
        {%- endfor %}
        {%- for window in entity.windows %}
        {%- if window.sum %}
        {{ safe_cast('coalesce(sum(' ~ window.sum ~ ') ' ~ window_before(partition, window.span) ~ ', 0)', window.type) }}
            as {{ window.name }},
        {%- else %}
        cast(count(*) {{ window_before(partition, window.span) }} as integer) as {{ window.name }},
        {%- endif %}
        {%- endfor %}
        {%- for one in entity.distinct %}
        cast(
            coalesce(sum(first_{{ one.name }}) {{ window_before(partition, none) }}, 0) as integer
        ) as {{ one.name }},
        {%- endfor %}
        {%- if entity.since_first %}
        {{ whole_days('moment_us', 'min(moment_us) ' ~ window_before(partition, none)) }} as {{ entity.since_first }},
        {%- endif %}
        moment_us
    from marked
),

{%- if entity.events %}

{% set flags = entity.events | map(attribute='event') | unique | list -%}
happened as (
    {%- for event in flags %}
    select
        {{ partition }},
        {%- for flag in flags %}
        {{ 1 if flag == event else 0 }} as is_{{ flag }},
        {%- endfor %}
        moment_us
    from {{ events[event] }}
    where {{ all_known(entity.key) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Only entities with an event need a timeline.
timeline as (
    select
        {%- for column in key + (entity.key | reject('in', key) | list) %}
        claimed.{{ column }},
        {%- endfor %}
        {%- for flag in flags %}
        0 as is_{{ flag }},
        {%- endfor %}
        claimed.moment_us
    from claimed
    where exists (select 1 from happened where {{ same(entity.key, 'claimed', 'happened') }})
    union all
    select
        {%- for column in key + (entity.key | reject('in', key) | list) %}
        {{ ('happened.' ~ column) if column in entity.key else ('null as ' ~ column) }},
        {%- endfor %}
        {%- for flag in flags %}
        happened.is_{{ flag }},
        {%- endfor %}
        happened.moment_us
    from happened
    where exists (select 1 from claimed where {{ same(entity.key, 'happened', 'claimed') }})
),

known as (
    select
        {%- for column in key %}
        {{ column }},
        {%- endfor %}
        {%- for one in entity.events %}
        sum(is_{{ one.event }}) {{ window_before(partition, one.span) }} as {{ one.name }},
        {%- endfor %}
        moment_us
    from timeline
),

known_at_rows as (
    select * from known
    where {{ all_known(key) }}
),
{%- endif %}

final as (
    select
        {%- for column in key %}
        counted.{{ column }}
        {{- ',' if not loop.last }}
        {%- endfor %}
        {%- for window in entity.windows %},
        counted.{{ window.name }}
        {%- endfor %}
        {%- if entity.since_first %},
        counted.{{ entity.since_first }}
        {%- endif %}
        {%- for one in entity.distinct %},
        counted.{{ one.name }}
        {%- endfor %}
        {%- for one in entity.events %},
        cast(coalesce(known_at_rows.{{ one.name }}, 0) as integer) as {{ one.name }}
        {%- endfor %}
    from counted
    {%- if entity.events %}
    left join known_at_rows on {{ same(key, 'counted', 'known_at_rows') }}
    {%- endif %}
)

select * from final
{% endmacro %}

{#-
What is known of an entity's earlier rows whose period shares a day with the row's.

Args:
    names: overlaps with one entity, period and label.
-#}
{% macro overlap_rows(features, names, rows) %}
{%- set overlaps = {} -%}
{%- for name in names -%}
    {%- do overlaps.update({name: declared_part(features, 'overlaps', name)}) -%}
{%- endfor -%}
{%- set shape = overlaps[names[0]] -%}
{%- set key = features.key -%}
{%- set time = features.time -%}
{%- set same_side = [] -%}
{%- for name in names if overlaps[name].side == 'same' -%}
    {%- do same_side.append(name) -%}
{%- endfor -%}
{%- set columns = key + ([shape.label, shape.start, shape.end, time] + shape.key) | reject('in', key) | list %}
with claimed as (
    select
        {{ columns | unique | join(',\n        ') }}
    from {{ rows }}
    where {{ all_known(shape.key + [shape.start, shape.end, time] + key) }}
),

{%- if not same_side %}

-- Most entities have rows of one label only: leaving them out makes the join small.
shared as (
    select {{ shape.key | join(', ') }}
    from claimed
    group by {{ shape.key | join(', ') }}
    having min({{ shape.label }}) <> max({{ shape.label }})
),
{%- endif %}

-- One row per period keeps the join small even where somebody repeats one claim many times.
periods as (
    select
        {%- for column in shape.key %}
        claimed.{{ column }},
        {%- endfor %}
        claimed.{{ shape.label }} as label,
        claimed.{{ shape.start }} as period_from,
        claimed.{{ shape.end }} as period_to,
        min(claimed.{{ time }}) as first_at
    from claimed
    {%- if not same_side %}
    inner join shared on {{ same(shape.key, 'claimed', 'shared') }}
    {%- endif %}
    group by {{ 'claimed.' ~ (shape.key + [shape.label, shape.start, shape.end]) | join(', claimed.') }}
),

overlapping as (
    select
        {{ 'claimed.' ~ key | join(', claimed.') }}
        {%- for name in names %}
        {%- set sign = '<>' if overlaps[name].side == 'other' else '=' %},
        {%- if overlaps[name].take == 'list' %}
        {{ sorted_values('case when periods.label ' ~ sign ~ ' claimed.' ~ shape.label ~ ' then periods.label end') }}
        {%- elif overlaps[name].take == 'count' %}
        count(distinct case when periods.label {{ sign }} claimed.{{ shape.label }} then periods.label end)
        {%- else %}
        count(case when periods.label {{ sign }} claimed.{{ shape.label }} then 1 end)
        {%- endif %} as {{ name }}
        {%- endfor %}
    from claimed
    inner join periods
        on
            {{ same(shape.key, 'claimed', 'periods') }}
            and claimed.{{ shape.start }} <= periods.period_to
            and claimed.{{ shape.end }} >= periods.period_from
            and claimed.{{ time }} > periods.first_at
    group by {{ 'claimed.' ~ key | join(', claimed.') }}
),

final as (
    select
        {{ 'claimed.' ~ key | join(', claimed.') }}
        {%- for name in names %},
        {%- if overlaps[name].take == 'list' %}
        overlapping.{{ name }}
        {%- else %}
        cast(coalesce(overlapping.{{ name }}, 0) as integer) as {{ name }}
        {%- endif %}
        {%- endfor %}
    from claimed
    left join overlapping on {{ same(key, 'claimed', 'overlapping') }}
)

select * from final
{% endmacro %}

{#-
The product: rows, all that is known of them, and every step of the declaration until the columns of the contract.

Args:
    facts: relations of aggregates with one row per row or fewer, by the entity they are of, or by what they hold.
    lookups: relations of lookups, by their names.
-#}
{% macro feature_table(features, rows, facts={}, lookups={}) %}
{%- set key = features.key %}
with known as (
    select
        {%- for column in features.row + features.carried %}
        given.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
        {%- for name in facts %}
        {%- if name == 'overlaps' %}
        {%- set columns = features.overlaps %}
        {%- else %}
        {%- set columns = entity_columns(declared_part(features, 'entities', name)) %}
        {%- endif %}
        {%- for column in columns %},
        {{ name }}_facts.{{ column }}
        {%- endfor %}
        {%- endfor %}
        {%- for name in lookups %}
        {%- for value in declared_part(features, 'lookups', name)['values'] %},
        {{ name }}_facts.{{ value.name }}
        {%- endfor %}
        {%- endfor %}
    from {{ rows }} as given
    {%- for name, relation in facts.items() %}
    left join {{ relation }} as {{ name }}_facts on {{ same(key, 'given', name ~ '_facts') }}
    {%- endfor %}
    {%- for name, relation in lookups.items() %}
    {%- set row_key = declared_part(features, 'lookups', name).row_key %}
    left join {{ relation }} as {{ name }}_facts on given.{{ row_key }} = {{ name }}_facts.{{ row_key }}
    {%- endfor %}
),

{%- for step in features.steps %}

step_{{ loop.index }} as (
    select
        *
        {%- for value in step %},
        {{ value.sql }} as {{ value.name }}
        {%- endfor %}
    from {{ 'known' if loop.first else 'step_' ~ loop.index0 }}
),
{%- endfor %}

final as (
    select
        {%- for name in features.published %}
        {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ 'step_' ~ features.steps | length if features.steps else 'known' }}
)

select * from final
{% endmacro %}
