with claims as (
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
        {{ clean_text('claims.claim_id') }} as claim_id,
        {{ clean_text('claims.scheme') }} as scheme,
        lower({{ clean_text('claims.variant') }}) as variant,
        {{ safe_moment('claims.submitted_at') }} as submitted_at,
        {{ clean_text('claims.claimant_name') }} as claimant_name,
        claims.nino_token,
        coalesce(claims.nino_status, 'missing') as nino_status,
        claims.utr_token,
        coalesce(claims.utr_status, 'missing') as utr_status,
        {{ clean_text('claims.employer_ref') }} as employer_ref,
        {{ clean_text('claims.employer_name') }} as employer_name,
        {{ safe_cast('claims.employer_size', 'integer') }} as employer_size,
        {{ safe_moment('claims.period_start', 'date') }} as period_start,
        {{ safe_moment('claims.period_end', 'date') }} as period_end,
        {{ safe_cast('claims.amount', 'decimal(14, 2)') }} as amount,
        {{ safe_cast('claims.basis_amount', 'decimal(14, 2)') }} as basis_amount,
        {{ safe_cast('claims.allowance_amount', 'decimal(14, 2)') }} as allowance_amount,
        {{ safe_cast('claims.turnover_fall_percent', 'decimal(5, 2)') }} as turnover_fall_percent,
        {{ safe_cast('claims.normal_hours', 'decimal(7, 2)') }} as normal_hours,
        {{ safe_cast('claims.worked_hours', 'decimal(7, 2)') }} as worked_hours,
        {{ safe_cast('claims.furloughed_hours', 'decimal(7, 2)') }} as furloughed_hours,
        {{ safe_cast('claims.sick_days', 'integer') }} as sick_days,
        {{ safe_cast('claims.repayment_months', 'integer') }} as repayment_months,
        {{ clean_text('claims.household_ref') }} as household_ref,
        claims.bank_account_token,
        coalesce(claims.bank_account_status, 'missing') as bank_account_status,
        {{ clean_text('claims.account_name') }} as account_name,
        {{ postcode('claims.postcode') }} as postcode,
        {{ clean_text('claims.device_id') }} as device_id,
        claims.phone_token,
        claims._source_file as source_file,
        claims._source_row as source_row,
        claims._load_id as load_id,
        loads.loaded_seq
    from claims
    inner join loads on claims._load_id = loads.load_id
)

select * from final
