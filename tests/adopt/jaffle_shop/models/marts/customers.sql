with customers as (
    select * from {{ ref('stg_customers') }}
),

bought as (
    select
        customer_id,
        count(distinct order_id) as lifetime_orders,
        min(ordered_on) as first_ordered_on,
        max(ordered_on) as last_ordered_on,
        sum(order_total) as lifetime_spend
    from {{ ref('orders') }}
    group by customer_id
)

select
    customers.customer_id,
    customers.customer_name,
    coalesce(bought.lifetime_orders, 0) as lifetime_orders,
    bought.first_ordered_on,
    bought.last_ordered_on,
    coalesce(bought.lifetime_spend, 0) as lifetime_spend,
    case when bought.lifetime_orders > 1 then 'returning' else 'new' end as customer_type
from customers
left join bought on customers.customer_id = bought.customer_id
