select sum(order_total) as takings from {{ ref('orders') }}
