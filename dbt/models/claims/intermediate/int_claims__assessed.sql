{%- set breaches = scheme_breaches() -%}

with claims as (
    select * from {{ ref('int_claims__current') }}
),

overlapping as (
    select * from {{ ref('int_claims__overlaps') }}
),

joined as (
    select
        claims.*,
        overlapping.overlapping_schemes
    from claims
    left join overlapping
        on
            claims.scheme = overlapping.scheme
            and claims.claim_id = overlapping.claim_id
),

entitled as (
    select
        *,
        {{ entitled_amount() }} as entitled_amount
    from joined
),

final as (
    select
        *,
        concat_ws(
            ',',
            {%- for breach in breaches %}
            {{ breach }}{{ ',' if not loop.last }}
            {%- endfor %}
        ) as breaches
    from entitled
)

select * from final
