{#-
Groups of people that outcomes are compared by. They never decide anything; which ages and nationalities go together is
assumed, and kept here alone.
-#}

{% macro age_bands() -%}
    {{ return([
        ('under 25', 25), ('25 to 34', 35), ('35 to 44', 45), ('45 to 54', 55), ('55 to 64', 65), ('65 and over', none),
    ]) }}
{%- endmacro %}

{#- The band of a person's age on a day; nothing where the birth date is unknown or lies after it. -#}
{% macro age_band(birth_date, day) -%}
    case
        when {{ birth_date }} is null or {{ birth_date }} > {{ day }} then null
        {%- for words, below in age_bands() %}
        {%- if below is not none %}
        when {{ years_between(birth_date, day) }} < {{ below }} then '{{ words }}'
        {%- else %}
        else '{{ words }}'
        {%- endif %}
        {%- endfor %}
    end
{%- endmacro %}

{#- British or not: finer groups are too small to compare and too telling to keep. -#}
{% macro nationality_group(nationality) -%}
    case
        when {{ nationality }} is null then null
        when lower({{ nationality }}) in {{ in_list(british_nationalities()) }} then 'british'
        else 'other'
    end
{%- endmacro %}

{% macro british_nationalities() -%}
    {{ return(['british', 'english', 'northern irish', 'scottish', 'welsh', 'gbr', 'gb', 'uk']) }}
{%- endmacro %}

{#- A column's one value among all rows of a group; nothing where they disagree. -#}
{% macro agreed(column) -%}
    case when min({{ column }}) = max({{ column }}) then min({{ column }}) end
{%- endmacro %}
