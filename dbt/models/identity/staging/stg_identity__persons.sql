with persons as (
    select * from {{ source('identity_raw', 'raw_persons') }}
),

loads as (
    select
        load_id,
        loaded_seq
    from {{ source('identity_raw', 'current_loads') }}
),

final as (
    select
        {{ clean_text('persons.source_system') }} as source_system,
        {{ clean_text('persons.source_record_id') }} as source_record_id,
        case when persons.nino_status = 'valid' then persons.nino_token end as nino_token,
        case when persons.nino_status = 'valid' then persons.nino_cipher end as nino_cipher,
        case when persons.utr_status = 'valid' then persons.utr_token end as utr_token,
        case when persons.other_id_status = 'valid' then persons.other_id_token end as other_id_token,
        {{ clean_text('persons.given_name') }} as given_name,
        {{ clean_text('persons.family_name') }} as family_name,
        {{ safe_moment('persons.date_of_birth', 'date') }} as date_of_birth,
        lower({{ clean_text('persons.sex') }}) as sex,
        {{ clean_text('persons.marital_status') }} as marital_status,
        {{ clean_text('persons.nationality') }} as nationality,
        lower({{ clean_text('persons.disability') }}) as disability,
        {{ postcode('persons.postcode') }} as postcode,
        case when persons.phone_status = 'valid' then persons.phone_token end as phone_token,
        case when persons.email_status = 'valid' then persons.email_token end as email_token,
        {{ clean_text('persons.household_ref') }} as household_ref,
        {{ safe_moment('persons.updated_at') }} as updated_at,
        persons._source_file as source_file,
        persons._source_row as source_row,
        persons._load_id as load_id,
        loads.loaded_seq
    from persons
    inner join loads on persons._load_id = loads.load_id
)

select * from final
