with claims as (
    select * from {{ source('claims', 'claims_v1') }}
),

final as (
    select
        claim_id,
        scheme,
        variant,
        submitted_at,
        {{ microseconds('submitted_at') }} as submitted_us,
        nino_token,
        nino_status,
        utr_status,
        employer_ref,
        employer_size,
        period_start,
        period_end,
        amount,
        entitled_amount,
        turnover_fall_percent,
        normal_hours,
        worked_hours,
        sick_days,
        repayment_months,
        bank_account_token,
        bank_account_status,
        account_name_match,
        postcode,
        device_id,
        breaches,
        breach_count
    from claims
)

select * from final
