with claims as (
    select * from {{ ref('stg_insight__claims') }}
),

people as (
    select * from {{ ref('int_insight__groups') }}
),

final as (
    select
        claims.claim_id,
        {{ age_band('people.date_of_birth', 'cast(claims.submitted_at as date)') }} as age_band,
        case when people.sex in ('female', 'male', 'other') then people.sex end as sex,
        case when people.disability in ('yes', 'no') then people.disability end as disability,
        {{ nationality_group('people.nationality') }} as nationality,
        lower(people.marital_status) as marital_status
    from claims
    left join people on claims.nino_token = people.nino_token
)

select * from final
