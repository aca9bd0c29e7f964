{{ config(severity='warn') }}
select orders.order_id
from {{ ref('orders') }} as orders
left join {{ ref('order_items') }} as items on orders.order_id = items.order_id
where items.order_id is null
