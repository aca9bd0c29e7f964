with claims as (
    select * from {{ ref('stg_insight__claims') }}
),

findings as (
    select
        claim_id,
        min(decided_at) as found_at
    from {{ source('claims', 'outcomes_v1') }}
    where finding = 'fraud'
    group by claim_id
),

final as (
    select
        claims.claim_id,
        claims.nino_token,
        claims.bank_account_token,
        claims.device_id,
        claims.employer_ref,
        {{ microseconds('findings.found_at') }} as found_us
    from findings
    inner join claims on findings.claim_id = claims.claim_id
)

select * from final
