with outcomes as (
    select * from {{ source('claims_raw', 'raw_outcomes') }}
),

loads as (
    select
        load_id,
        loaded_seq
    from {{ source('claims_raw', 'current_loads') }}
),

final as (
    select
        {{ clean_text('outcomes.outcome_id') }} as outcome_id,
        {{ clean_text('outcomes.claim_id') }} as claim_id,
        lower({{ clean_text('outcomes.selected_by') }}) as selected_by,
        {{ safe_moment('outcomes.selected_at') }} as selected_at,
        {{ safe_moment('outcomes.decided_at') }} as decided_at,
        lower({{ clean_text('outcomes.finding') }}) as finding,
        {{ safe_cast('outcomes.adjusted_amount', 'decimal(14, 2)') }} as adjusted_amount,
        outcomes._source_file as source_file,
        outcomes._source_row as source_row,
        outcomes._load_id as load_id,
        loads.loaded_seq
    from outcomes
    inner join loads on outcomes._load_id = loads.load_id
)

select * from final
