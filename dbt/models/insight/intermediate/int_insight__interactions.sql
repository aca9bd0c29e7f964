with claims as (
    select
        claim_id,
        nino_token,
        submitted_us
    from {{ ref('stg_insight__claims') }}
    where nino_token is not null
),

events as (
    select * from {{ ref('stg_insight__events') }}
),

timeline as (
    select
        claim_id,
        nino_token,
        submitted_us as moment_us,
        0 as contact,
        0 as message
    from claims
    union all
    select
        cast(null as varchar) as claim_id,
        nino_token,
        moment_us,
        contact,
        message
    from events
    where nino_token in (select claims.nino_token from claims)
),

counted as (
    select
        claim_id,
        sum(contact) {{ before('nino_token', history_spans()['30d'], 'moment_us') }} as contacts_30d,
        sum(message) {{ before('nino_token', history_spans()['30d'], 'moment_us') }} as messages_30d
    from timeline
),

final as (
    select
        claim_id,
        cast(coalesce(contacts_30d, 0) as integer) as contacts_30d,
        cast(coalesce(messages_30d, 0) as integer) as messages_30d
    from counted
    where claim_id is not null
)

select * from final
