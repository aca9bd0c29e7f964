{% snapshot prices %}
{{ config(target_schema='history', unique_key='product_id', strategy='check', check_cols=['product_price']) }}
select * from {{ ref('stg_products') }}
{% endsnapshot %}
