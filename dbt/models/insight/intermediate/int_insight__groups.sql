{#- A NINO that several people carry tells only what they have in common. -#}
with persons as (
    select * from {{ source('identity', 'persons_v1') }}
),

final as (
    select
        nino_token,
        {{ agreed('date_of_birth') }} as date_of_birth,
        {{ agreed('sex') }} as sex,
        {{ agreed('disability') }} as disability,
        {{ agreed('nationality') }} as nationality,
        {{ agreed('marital_status') }} as marital_status
    from persons
    where nino_token is not null
    group by nino_token
)

select * from final
