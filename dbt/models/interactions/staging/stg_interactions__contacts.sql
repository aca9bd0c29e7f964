with contacts as (
    select * from {{ source('interactions_raw', 'raw_contacts') }}
),

loads as (
    select
        load_id,
        loaded_seq
    from {{ source('interactions_raw', 'current_loads') }}
),

final as (
    select
        {{ clean_text('contacts.contact_id') }} as contact_id,
        contacts.nino_token,
        coalesce(contacts.nino_status, 'missing') as nino_status,
        lower({{ clean_text('contacts.channel') }}) as channel,
        {{ safe_moment('contacts.started_at') }} as started_at,
        {{ safe_cast('contacts.duration_seconds', 'integer') }} as duration_seconds,
        {{ clean_text('contacts.reason') }} as reason,
        {{ clean_text('contacts.device_id') }} as device_id,
        contacts.phone_token,
        {{ clean_text('contacts.result') }} as result,
        contacts._source_file as source_file,
        contacts._source_row as source_row,
        contacts._load_id as load_id,
        loads.loaded_seq
    from contacts
    inner join loads on contacts._load_id = loads.load_id
)

select * from final
