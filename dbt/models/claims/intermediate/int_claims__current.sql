with claims as (
    select * from {{ ref('stg_claims__claims') }}
),

superseded as (
    select * from {{ ref('claims_filtered') }}
),

newest as (
    {{ newest_deliveries('claims', 'superseded') }}
)

select * from newest
