{{ config(materialized='incremental', unique_key='order_item_id') }}

with items as (
    select * from {{ ref('stg_order_items') }}
),

products as (
    select * from {{ ref('stg_products') }}
),

supplies as (
    select
        product_id,
        sum(supply_cost) as supply_cost
    from {{ ref('stg_supplies') }}
    group by product_id
)

select
    items.order_item_id,
    items.order_id,
    items.product_id,
    orders.ordered_on,
    products.product_name,
    products.product_price,
    products.is_food_item,
    supplies.supply_cost
from items
left join {{ ref('stg_orders') }} as orders on items.order_id = orders.order_id
left join products on items.product_id = products.product_id
left join supplies on items.product_id = supplies.product_id
{% if is_incremental() %}
where orders.ordered_on > (select max(ordered_on) from {{ this }})
{% endif %}
