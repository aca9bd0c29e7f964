with orders as (
    select * from {{ ref('stg_orders') }}
),

items as (
    select
        order_id,
        sum(supply_cost) as order_cost,
        count(*) as count_items,
        count(case when is_food_item then 1 end) as count_food_items
    from {{ ref('order_items') }}
    group by order_id
)

select
    orders.order_id,
    orders.location_id,
    orders.customer_id,
    orders.subtotal,
    orders.tax_paid,
    orders.order_total,
    orders.ordered_on,
    items.order_cost,
    coalesce(items.count_items, 0) as count_items,
    coalesce(items.count_food_items, 0) > 0 as is_food_order,
    orders.order_total >= {{ var('large_order_from') }} as is_large_order,
    case when orders.order_total >= {{ var('large_order_from') }} then 'large' else 'small' end as order_size
from orders
left join items on orders.order_id = items.order_id
