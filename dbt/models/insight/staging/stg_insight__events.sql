with contacts as (
    select * from {{ source('interactions', 'contacts_v1') }}
),

messages as (
    select * from {{ source('interactions', 'messages_v1') }}
),

final as (
    select
        nino_token,
        {{ microseconds('started_at') }} as moment_us,
        1 as contact,
        0 as message
    from contacts
    where
        nino_token is not null
        and started_at is not null
    union all
    select
        nino_token,
        {{ microseconds('sent_at') }} as moment_us,
        0 as contact,
        1 as message
    from messages
    where
        nino_token is not null
        and sent_at is not null
)

select * from final
