{{ config(materialized='table') }}

with persons as (
    select * from {{ ref('stg_identity__persons') }}
),

keyed as (
    select
        *,
        md5(
            coalesce(source_system, '') || '|' || coalesce(
                source_record_id,
                load_id || '|' || cast(source_row as varchar)
            )
        ) as record_key
    from persons
),

final as (
    select
        *,
        coalesce(nino_token, other_id_token) as strong_id,
        {{ replace_pattern('upper(given_name)', '[^A-Z]', '') }} as given_key,
        {{ replace_pattern('upper(family_name)', '[^A-Z]', '') }} as family_key,
        coalesce(cast(min(updated_at) over (partition by record_key) as varchar), '9999')
        || '|'
        || record_key as founded,
        row_number() over (
            partition by record_key
            order by
                updated_at desc nulls last,
                loaded_seq desc,
                source_row desc
        ) as newest_first
    from keyed
)

select * from final
