with persons as (
    select * from {{ source('identity', 'persons_v1') }}
),

final as (
    select
        nino_token,
        min(nino_first_seen_at) as first_seen_at,
        min(nino_corroborated_at) as corroborated_at
    from persons
    where nino_token is not null
    group by nino_token
)

select * from final
