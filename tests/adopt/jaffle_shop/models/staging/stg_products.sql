select
    sku as product_id,
    name as product_name,
    type as product_type,
    {{ cents_to_dollars('price') }} as product_price,
    coalesce(type = 'jaffle', false) as is_food_item
from {{ source('ecom', 'raw_products') }}
