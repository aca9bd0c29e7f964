{#- Moments as whole numbers, because every engine has exact windows over ranges of whole numbers. -#}

{#- Microseconds since 1970. -#}
{% macro microseconds(moment) -%}
    {{ return(adapter.dispatch('microseconds', 'insight_mesh')(moment)) }}
{%- endmacro %}

{% macro duckdb__microseconds(moment) -%}
    epoch_us({{ moment }})
{%- endmacro %}

{% macro default__microseconds(moment) -%}
    unix_micros({{ moment }})
{%- endmacro %}

{% macro microseconds_of(days=0, hours=0) -%}
    {{ (days * 24 + hours) * 3600000000 }}
{%- endmacro %}

{#- Whole days between two moments given in microseconds. -#}
{% macro whole_days(later, earlier) -%}
    {{ return(adapter.dispatch('whole_days', 'insight_mesh')(later, earlier)) }}
{%- endmacro %}

{% macro duckdb__whole_days(later, earlier) -%}
    cast(({{ later }} - {{ earlier }}) // {{ microseconds_of(days=1) }} as integer)
{%- endmacro %}

{% macro default__whole_days(later, earlier) -%}
    cast(({{ later }} - {{ earlier }}) div {{ microseconds_of(days=1) }} as integer)
{%- endmacro %}

{#- Whole years from one date to another: birthdays that have passed. -#}
{% macro years_between(earlier, later) -%}
    (
        extract(year from {{ later }}) - extract(year from {{ earlier }})
        - case
            when
                extract(month from {{ later }}) * 100 + extract(day from {{ later }})
                < extract(month from {{ earlier }}) * 100 + extract(day from {{ earlier }})
                then 1
            else 0
        end
    )
{%- endmacro %}
