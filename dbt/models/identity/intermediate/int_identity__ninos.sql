with records as (
    select
        nino_token,
        source_system,
        min(updated_at) as first_at
    from {{ ref('int_identity__records') }}
    where
        nino_token is not null
        and updated_at is not null
    group by
        nino_token,
        source_system
),

numbered as (
    select
        nino_token,
        first_at,
        row_number() over (
            partition by nino_token
            order by first_at asc nulls last, source_system asc nulls last
        ) as system_number
    from records
),

final as (
    select
        nino_token,
        min(first_at) as nino_first_seen_at,
        min(case when system_number = 2 then first_at end) as nino_corroborated_at
    from numbered
    group by nino_token
)

select * from final
