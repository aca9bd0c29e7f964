{#- Words of the engine for text, dispatched so that the models themselves stay portable. -#}

{#- A delivered text without surrounding blanks; nothing instead of an empty one. -#}
{% macro clean_text(text) -%}
    nullif(trim({{ text }}), '')
{%- endmacro %}

{#- A value of the given type, or null where the text does not hold one: contract rules then see a missing value. -#}
{% macro safe_cast(text, type) -%}
    {{ return(adapter.dispatch('safe_cast', 'insight_mesh')(text, type)) }}
{%- endmacro %}

{% macro default__safe_cast(text, type) -%}
    try_cast({{ text }} as {{ type }})
{%- endmacro %}

{#-
A delivered moment or day. What no service can mean (before 1900, from 2100 on, DuckDB's word infinity) is as
unreadable as any other slip: it becomes null, and no arithmetic later can overflow on it.
-#}
{% macro safe_moment(text, type='timestamp') -%}
    case
        when
            {{ safe_cast(text, type) }} >= {{ type }} '1900-01-01'
            and {{ safe_cast(text, type) }} < {{ type }} '2100-01-01'
            then {{ safe_cast(text, type) }}
    end
{%- endmacro %}

{#- Every match of a regular expression replaced. -#}
{% macro replace_pattern(text, pattern, replacement) -%}
    {{ return(adapter.dispatch('replace_pattern', 'insight_mesh')(text, pattern, replacement)) }}
{%- endmacro %}

{% macro default__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}')
{%- endmacro %}

{% macro duckdb__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{#- A postcode in one spelling: upper case, and the blank before the last three characters of a British one. -#}
{% macro postcode(text) -%}
    {%- set compact = replace_pattern('upper(' ~ text ~ ')', '[^A-Z0-9]', '') -%}
    case
        when length({{ compact }}) between 5 and 7
            then substr({{ compact }}, 1, length({{ compact }}) - 3) || ' ' || right({{ compact }}, 3)
        else nullif({{ compact }}, '')
    end
{%- endmacro %}

{#- The distinct values of a group in order, with commas. -#}
{% macro sorted_values(column) -%}
    {{ return(adapter.dispatch('sorted_values', 'insight_mesh')(column)) }}
{%- endmacro %}

{% macro duckdb__sorted_values(column) -%}
    string_agg(distinct {{ column }}, ',' order by {{ column }})
{%- endmacro %}

{% macro default__sorted_values(column) -%}
    array_join(array_sort(collect_set({{ column }})), ',')
{%- endmacro %}

{#- Texts as an SQL list: ('a', 'b'). -#}
{% macro in_list(values) -%}
    (
    {%- for value in values -%}
        '{{ value | string | replace("'", "''") }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}
