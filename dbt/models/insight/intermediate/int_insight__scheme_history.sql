{%- set spans = history_spans() -%}

with claims as (
    select
        claim_id,
        nino_token,
        scheme,
        submitted_us
    from {{ ref('stg_insight__claims') }}
    where nino_token is not null
),

final as (
    select
        claim_id,
        cast(count(*) {{ before('nino_token, scheme', spans['30d']) }} as integer) as same_scheme_claims_30d,
        cast(count(*) {{ before('nino_token, scheme', spans['all']) }} as integer) as same_scheme_claims_all
    from claims
)

select * from final
