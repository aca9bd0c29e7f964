{#- The newest record that has a value tells it. -#}
{%- set told = [
    'nino_token', 'nino_cipher', 'utr_token', 'other_id_token', 'given_name', 'family_name', 'date_of_birth', 'sex',
    'marital_status', 'nationality', 'disability', 'postcode', 'phone_token', 'email_token', 'household_ref',
] -%}

with records as (
    select * from {{ ref('int_identity__records') }}
),

links as (
    select * from {{ ref('int_identity__links') }}
),

ninos as (
    select * from {{ ref('int_identity__ninos') }}
),

joined as (
    select
        links.person_id,
        records.source_system,
        records.updated_at,
        {%- for column in told %}
        records.{{ column }},
        {%- endfor %}
        row_number() over (
            partition by links.person_id
            order by
                records.updated_at desc nulls last,
                records.loaded_seq desc,
                records.source_row desc
        ) as newest_first
    from records
    inner join links on records.record_key = links.record_key
),

people as (
    select
        person_id,
        {%- for column in told %}
        min_by({{ column }}, newest_first) filter (where {{ column }} is not null) as {{ column }},
        {%- endfor %}
        cast(count(*) as integer) as source_records,
        coalesce({{ sorted_values('source_system') }}, '') as systems,
        min(updated_at) as first_seen_at,
        max(updated_at) as updated_at
    from joined
    group by person_id
),

final as (
    select
        people.person_id,
        people.nino_token,
        people.utr_token,
        people.other_id_token,
        people.given_name,
        people.family_name,
        people.date_of_birth,
        cast(extract(year from people.date_of_birth) as integer) as birth_year,
        people.sex,
        people.marital_status,
        people.nationality,
        people.disability,
        people.postcode,
        people.phone_token,
        people.email_token,
        people.household_ref,
        people.source_records,
        people.systems,
        people.first_seen_at,
        people.updated_at,
        ninos.nino_first_seen_at,
        ninos.nino_corroborated_at,
        people.nino_cipher
    from people
    left join ninos on people.nino_token = ninos.nino_token
)

select * from final
