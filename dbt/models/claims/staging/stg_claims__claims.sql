{%- set features = declared('claims/claims') -%}

with delivered as (
    select * from {{ source('claims_raw', 'raw_claims') }}
),

loads as (
    select
        load_id,
        loaded_seq
    from {{ source('claims_raw', 'current_loads') }}
),

final as (
    select
        {{ delivered_columns(features) }},
        delivered._source_file as source_file,
        delivered._source_row as source_row,
        delivered._load_id as load_id,
        loads.loaded_seq
    from delivered
    inner join loads on delivered._load_id = loads.load_id
)

select * from final
