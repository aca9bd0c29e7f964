{{
    config(
        materialized='ephemeral',
        meta={'reviewed': true}
    )
}}
select
    id as location_id,
    name as location_name,
    tax_rate,
    cast(opened_at as date) as opened_on
from {{ ref('raw_stores') }}
