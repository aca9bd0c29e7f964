with contacts as (
    select * from {{ ref('stg_interactions__contacts') }}
),

superseded as (
    select * from {{ ref('contacts_filtered') }}
),

newest as (
    {{ newest_deliveries('contacts', 'superseded') }}
),

final as (
    select
        contact_id,
        nino_token,
        nino_status,
        channel,
        started_at,
        duration_seconds,
        reason,
        device_id,
        phone_token,
        result,
        load_id,
        source_file,
        source_row
    from newest
)

select * from final
