with messages as (
    select * from {{ source('interactions_raw', 'raw_messages') }}
),

loads as (
    select
        load_id,
        loaded_seq
    from {{ source('interactions_raw', 'current_loads') }}
),

final as (
    select
        {{ clean_text('messages.message_id') }} as message_id,
        messages.nino_token,
        coalesce(messages.nino_status, 'missing') as nino_status,
        {{ safe_moment('messages.sent_at') }} as sent_at,
        {{ clean_text('messages.body') }} as body,
        lower({{ clean_text('messages.direction') }}) as direction,
        {{ clean_text('messages.topic') }} as topic,
        messages._source_file as source_file,
        messages._source_row as source_row,
        messages._load_id as load_id,
        loads.loaded_seq
    from messages
    inner join loads on messages._load_id = loads.load_id
)

select * from final
