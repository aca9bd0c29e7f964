with claims as (
    select
        claim_id,
        nino_token,
        scheme,
        period_start,
        period_end,
        submitted_us
    from {{ ref('stg_insight__claims') }}
    where
        nino_token is not null
        and period_start is not null
        and period_end is not null
),

-- One row per period keeps the join small even where somebody repeats one claim many times.
periods as (
    select
        nino_token,
        scheme,
        period_start,
        period_end,
        min(submitted_us) as first_us
    from claims
    group by
        nino_token,
        scheme,
        period_start,
        period_end
),

overlapping as (
    select
        claims.claim_id,
        count(distinct case when periods.scheme <> claims.scheme then periods.scheme end) as other_schemes,
        count(case when periods.scheme = claims.scheme then 1 end) as repeated_periods
    from claims
    inner join periods
        on
            claims.nino_token = periods.nino_token
            and claims.period_start <= periods.period_end
            and claims.period_end >= periods.period_start
            and claims.submitted_us > periods.first_us
    group by claims.claim_id
),

final as (
    select
        claims.claim_id,
        cast(coalesce(overlapping.other_schemes, 0) as integer) as nino_overlapping_schemes,
        cast(coalesce(overlapping.repeated_periods, 0) as integer) as nino_repeated_periods
    from claims
    left join overlapping on claims.claim_id = overlapping.claim_id
)

select * from final
