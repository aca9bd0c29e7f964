{%- set histories = {
    'nino': ['accounts', 'devices', 'frauds'],
    'account': ['ninos', 'employers', 'devices', 'frauds'],
    'device': ['ninos', 'accounts', 'frauds'],
    'employer': ['accounts', 'frauds'],
    'postcode': ['ninos', 'accounts'],
} -%}

with claims as (
    select * from {{ ref('stg_insight__claims') }}
),

ninos as (
    select * from {{ ref('stg_insight__ninos') }}
),

interactions as (
    select * from {{ ref('int_insight__interactions') }}
),

schemes as (
    select * from {{ ref('int_insight__scheme_history') }}
),

overlapping as (
    select * from {{ ref('int_insight__overlaps') }}
),

nino_history as (
    select * from {{ ref('int_insight__nino_history') }}
),

account_history as (
    select * from {{ ref('int_insight__account_history') }}
),

device_history as (
    select * from {{ ref('int_insight__device_history') }}
),

employer_history as (
    select * from {{ ref('int_insight__employer_history') }}
),

postcode_history as (
    select * from {{ ref('int_insight__postcode_history') }}
),

final as (
    select
        claims.claim_id,
        claims.scheme,
        claims.submitted_at,
        claims.variant,
        cast(extract(hour from claims.submitted_at) as integer) as submitted_hour,
        {{ weekday('claims.submitted_at') }} as submitted_weekday,
        claims.amount,
        {{ safe_cast('claims.amount / nullif(claims.entitled_amount, 0)', 'decimal(12, 4)') }} as amount_to_entitled,
        {{ days_between('claims.period_start', 'claims.period_end') }} + 1 as period_days,
        {{ days_between('claims.period_end', 'cast(claims.submitted_at as date)') }} as days_after_period,
        claims.employer_size,
        claims.turnover_fall_percent,
        {{ safe_cast('claims.worked_hours / nullif(claims.normal_hours, 0)', 'decimal(9, 4)') }} as worked_share,
        claims.sick_days,
        claims.repayment_months,
        claims.breaches,
        claims.breach_count,
        claims.account_name_match,
        claims.nino_status,
        claims.utr_status,
        claims.bank_account_status,
        case
            when claims.nino_token is null then null
            when ninos.corroborated_at <= claims.submitted_at then 2
            when ninos.first_seen_at <= claims.submitted_at then 1
            else 0
        end as nino_known_systems,
        case
            when ninos.first_seen_at <= claims.submitted_at
                then {{ whole_days('claims.submitted_us', microseconds('ninos.first_seen_at')) }}
        end as nino_known_days,
        interactions.contacts_30d,
        interactions.messages_30d,
        nino_history.nino_claims_30d - schemes.same_scheme_claims_30d as nino_other_scheme_claims_30d,
        nino_history.nino_claims_all - schemes.same_scheme_claims_all as nino_other_scheme_claims_all,
        overlapping.nino_overlapping_schemes,
        overlapping.nino_repeated_periods
        {%- for name, others in histories.items() %}
        {%- for kind in ['claims', 'amount'] %}
        {%- for word in history_spans() %},
        {{ name }}_history.{{ name }}_{{ kind }}_{{ word }}
        {%- endfor %}
        {%- endfor %},
        {{ name }}_history.{{ name }}_days_since_first
        {%- for other in others %},
        {{ name }}_history.{{ name }}_{{ other }}
        {%- endfor %}
        {%- endfor %}
    from claims
    left join ninos on claims.nino_token = ninos.nino_token
    left join interactions on claims.claim_id = interactions.claim_id
    left join schemes on claims.claim_id = schemes.claim_id
    left join overlapping on claims.claim_id = overlapping.claim_id
    left join nino_history on claims.claim_id = nino_history.claim_id
    left join account_history on claims.claim_id = account_history.claim_id
    left join device_history on claims.claim_id = device_history.claim_id
    left join employer_history on claims.claim_id = employer_history.claim_id
    left join postcode_history on claims.claim_id = postcode_history.claim_id
)

select * from final
