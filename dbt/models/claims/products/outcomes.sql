with outcomes as (
    select * from {{ ref('stg_claims__outcomes') }}
),

superseded as (
    select * from {{ ref('outcomes_filtered') }}
),

newest as (
    {{ newest_deliveries('outcomes', 'superseded') }}
),

final as (
    select
        outcome_id,
        claim_id,
        selected_by,
        selected_at,
        decided_at,
        finding,
        adjusted_amount,
        load_id,
        source_file,
        source_row
    from newest
)

select * from final
