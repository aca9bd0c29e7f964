with claims as (
    select
        claim_id,
        scheme,
        nino_token,
        period_start,
        period_end,
        submitted_at
    from {{ ref('int_claims__current') }}
    where
        nino_token is not null
        and claim_id is not null
        and period_start is not null
        and period_end is not null
        and submitted_at is not null
),

-- Most people claim from one scheme only: leaving them out makes the join small.
shared as (
    select nino_token
    from claims
    group by nino_token
    having min(scheme) <> max(scheme)
),

-- One row per period keeps the join small even where somebody repeats one claim many times.
periods as (
    select
        claims.nino_token,
        claims.scheme,
        claims.period_start,
        claims.period_end,
        min(claims.submitted_at) as first_submitted_at
    from claims
    inner join shared on claims.nino_token = shared.nino_token
    group by
        claims.nino_token,
        claims.scheme,
        claims.period_start,
        claims.period_end
),

final as (
    select
        claims.scheme,
        claims.claim_id,
        {{ sorted_values('periods.scheme') }} as overlapping_schemes
    from claims
    inner join periods
        on
            claims.nino_token = periods.nino_token
            and claims.scheme <> periods.scheme
            and claims.period_start <= periods.period_end
            and claims.period_end >= periods.period_start
            and claims.submitted_at > periods.first_submitted_at
    group by
        claims.scheme,
        claims.claim_id
)

select * from final
