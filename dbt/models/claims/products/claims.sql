with claims as (
    select * from {{ ref('int_claims__assessed') }}
),

final as (
    select
        claim_id,
        scheme,
        variant,
        submitted_at,
        nino_token,
        nino_status,
        utr_token,
        utr_status,
        employer_ref,
        employer_size,
        period_start,
        period_end,
        amount,
        basis_amount,
        allowance_amount,
        entitled_amount,
        turnover_fall_percent,
        normal_hours,
        worked_hours,
        furloughed_hours,
        sick_days,
        repayment_months,
        household_ref,
        bank_account_token,
        bank_account_status,
        account_name_match,
        postcode,
        device_id,
        phone_token,
        breaches,
        cast(
            case
                when breaches = '' then 0
                else length(breaches) - length(replace(breaches, ',', '')) + 1
            end as integer
        ) as breach_count,
        load_id,
        source_file,
        source_row
    from claims
)

select * from final
