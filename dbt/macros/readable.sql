{#-
The names of the columns, with commas, whose delivered text is none of their type; null where all can be read.

A number that the type would round counts as unreadable too: 1.5 is no integer.

Args:
    columns: (name, delivered text, type) of every typed column.
-#}
{% macro unreadable_columns(columns) -%}
    nullif(concat_ws(
        ',',
        {%- for name, text, type in columns %}
        case when {{ unreadable(text, type) }} then '{{ name }}' end{{ ',' if not loop.last }}
        {%- endfor %}
    ), '')
{%- endmacro %}

{% macro unreadable(text, type) -%}
    {%- set value = safe_moment(text, type) if type in ('date', 'timestamp') else safe_cast(text, type) -%}
    {{ clean_text(text) }} is not null and (
        {{ value }} is null
        {%- if type == 'bigint' or type == 'integer' or type.startswith('decimal') %}
        or {{ safe_cast(text, 'decimal(38, 12)') }} <> {{ value }}
        {%- endif %}
    )
{%- endmacro %}
