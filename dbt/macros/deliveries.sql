{#-
Rows of a staging view that a later delivery of the same thing replaces, so that the newest one counts.

Only the key and the place of a row are sorted, not the row, which keeps it cheap. Rows whose key is missing replace
nothing: the contract moves them aside.
-#}
{% macro superseded_deliveries(staging, key) %}
with deliveries as (
    select
        load_id,
        source_file,
        source_row,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by loaded_seq desc, source_row desc
        ) as newest_first
    from {{ staging }}
    where {{ key[-1] }} is not null
),

final as (
    select
        load_id,
        source_file,
        source_row,
        'superseded' as reason
    from deliveries
    where newest_first > 1
)

select * from final
{% endmacro %}

{#- The rows of a staging view that no later delivery replaces. -#}
{% macro newest_deliveries(rows, superseded) -%}
    select {{ rows }}.*
    from {{ rows }}
    left join {{ superseded }}
        on
            {{ rows }}.load_id = {{ superseded }}.load_id
            and {{ rows }}.source_row = {{ superseded }}.source_row
    where {{ superseded }}.source_row is null
{%- endmacro %}
