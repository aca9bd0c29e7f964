{% macro cents_to_dollars(column) -%}
    {{ return(adapter.dispatch('cents_to_dollars')(column)) }}
{%- endmacro %}

{% macro default__cents_to_dollars(column) -%}
    cast({{ column }} / 100.0 as decimal(16, 2))
{%- endmacro %}

{% macro duckdb__cents_to_dollars(column) -%}
    cast(cast({{ column }} as decimal(18, 0)) / 100 as decimal(16, 2))
{%- endmacro %}
