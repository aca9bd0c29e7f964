with claims as (
    select * from {{ ref('stg_claims__claims') }}
),

superseded as (
    select * from {{ ref('claims_filtered') }}
),

newest as (
    {{ newest_deliveries('claims', 'superseded') }}
),

named as (
    select
        *,
        {{ compared_name(account_owner()) }} as owner_name,
        {{ compared_name('account_name') }} as compared_account_name
    from newest
),

worded as (
    select
        *,
        {{ name_words('owner_name') }} as owner_words,
        {{ name_words('compared_account_name') }} as account_words
    from named
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
        {{ days_between('period_start', 'period_end') }} + 1 as period_days,
        {{ days_in_month('period_start') }} as month_days,
        amount,
        basis_amount,
        allowance_amount,
        turnover_fall_percent,
        normal_hours,
        worked_hours,
        furloughed_hours,
        sick_days,
        repayment_months,
        household_ref,
        bank_account_token,
        bank_account_status,
        case
            when owner_words is null or account_words is null then 'none'
            when owner_words = account_words then 'exact'
            when {{ share_a_word('owner_words', 'account_words') }} then 'partial'
            else 'none'
        end as account_name_match,
        postcode,
        device_id,
        phone_token,
        source_file,
        source_row,
        load_id
    from worded
)

select * from final
