{#-
What was known from earlier claims that share an identifier, exactly as of each submission.

Windows run over microseconds and end one microsecond before the claim, so claims of the same moment do not see each
other. Claims without the identifier are left out: they share nothing, and as one group they would be the largest.
-#}

{% macro history_spans() -%}
    {{ return({
        '1h': microseconds_of(hours=1) | trim,
        '24h': microseconds_of(hours=24) | trim,
        '7d': microseconds_of(days=7) | trim,
        '30d': microseconds_of(days=30) | trim,
        'all': 'unbounded',
    }) }}
{%- endmacro %}

{% macro before(partition, span, moment='submitted_us') -%}
    over (
            partition by {{ partition }}
            order by {{ moment }}
            range between {{ span }} preceding and 1 preceding
        )
{%- endmacro %}

{#-
Args:
    column: the shared identifier, a column of stg_insight__claims.
    name: what it is called in feature names.
    distinct: feature name -> column whose different values on earlier claims are counted.
    frauds: whether to count earlier claims that were found fraudulent by then.
-#}
{% macro claim_history(column, name, distinct={}, frauds=true) %}
with claims as (
    select
        claim_id,
        {{ column }},
        {%- for other in distinct.values() %}
        {{ other }},
        {%- endfor %}
        amount,
        submitted_us
    from {{ ref('stg_insight__claims') }}
    where {{ column }} is not null
),

marked as (
    select
        *
        {%- for feature, other in distinct.items() %},
        case
            when {{ other }} is null then 0
            when row_number() over (
                partition by {{ column }}, {{ other }}
                order by submitted_us, claim_id
            ) = 1 then 1
            else 0
        end as first_{{ feature }}
        {%- endfor %}
    from claims
),

counted as (
    select
        claim_id,
        {%- for word, span in history_spans().items() %}
        cast(count(*) {{ before(column, span) }} as integer) as {{ name }}_claims_{{ word }},
        {{ safe_cast('coalesce(sum(amount) ' ~ before(column, span) ~ ', 0)', 'decimal(18, 2)') }}
            as {{ name }}_amount_{{ word }},
        {%- endfor %}
        {%- for feature in distinct %}
        cast(
            coalesce(sum(first_{{ feature }}) {{ before(column, 'unbounded') }}, 0) as integer
        ) as {{ name }}_{{ feature }},
        {%- endfor %}
        min(submitted_us) {{ before(column, 'unbounded') }} as first_us,
        submitted_us
    from marked
)

{%- if frauds %},

frauds as (
    select
        {{ column }},
        found_us
    from {{ ref('stg_insight__frauds') }}
    where {{ column }} is not null
),

-- Only identifiers with a fraud need a timeline, and they are few.
timeline as (
    select
        claim_id,
        {{ column }},
        submitted_us as moment_us,
        0 as fraud
    from claims
    where {{ column }} in (select frauds.{{ column }} from frauds)
    union all
    select
        cast(null as varchar) as claim_id,
        {{ column }},
        found_us as moment_us,
        1 as fraud
    from frauds
),

known as (
    select
        claim_id,
        coalesce(sum(fraud) {{ before(column, 'unbounded', 'moment_us') }}, 0) as frauds
    from timeline
),

known_at_claims as (
    select
        claim_id,
        cast(frauds as integer) as frauds
    from known
    where claim_id is not null
)
{%- endif %},

final as (
    select
        counted.claim_id,
        {%- for word in history_spans() %}
        counted.{{ name }}_claims_{{ word }},
        counted.{{ name }}_amount_{{ word }},
        {%- endfor %}
        {%- for feature in distinct %}
        counted.{{ name }}_{{ feature }},
        {%- endfor %}
        {%- if frauds %}
        coalesce(known_at_claims.frauds, 0) as {{ name }}_frauds,
        {%- endif %}
        {{ whole_days('counted.submitted_us', 'counted.first_us') }} as {{ name }}_days_since_first
    from counted
    {%- if frauds %}
    left join known_at_claims on counted.claim_id = known_at_claims.claim_id
    {%- endif %}
)

select * from final
{% endmacro %}
