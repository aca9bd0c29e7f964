with messages as (
    select * from {{ ref('stg_interactions__messages') }}
),

superseded as (
    select * from {{ ref('messages_filtered') }}
),

newest as (
    {{ newest_deliveries('messages', 'superseded') }}
),

final as (
    select
        message_id,
        nino_token,
        nino_status,
        sent_at,
        body,
        direction,
        topic,
        load_id,
        source_file,
        source_row
    from newest
)

select * from final
