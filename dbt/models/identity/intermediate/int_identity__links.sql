{#- Each round passes the oldest record's name on along shared birth dates, then along shared surnames. -#}
{%- set rounds = 4 -%}

{{ config(materialized='table') }}

with records as (
    select
        record_key,
        founded,
        strong_id,
        coalesce(cast(date_of_birth as varchar), '?' || record_key) as birth_key,
        coalesce(nullif(family_key, ''), '?' || record_key) as surname_key,
        case
            when given_key <> '' and family_key <> '' and date_of_birth is not null and postcode is not null
                then given_key || '|' || family_key || '|' || cast(date_of_birth as varchar) || '|' || postcode
        end as full_key
    from {{ ref('int_identity__records') }}
    where newest_first = 1
),

-- People of one identifier, one birth date and one surname need no rounds, and nearly all are like that.
alike as (
    select
        strong_id,
        birth_key,
        surname_key,
        min(founded) as founded,
        count(*) over (partition by strong_id) as variants
    from records
    where strong_id is not null
    group by
        strong_id,
        birth_key,
        surname_key
),

round_0 as (
    select
        strong_id,
        birth_key,
        surname_key,
        founded
    from alike
    where variants > 1
),

{% for number in range(rounds) -%}
by_birth_{{ number }} as (
    select
        strong_id,
        birth_key,
        surname_key,
        min(founded) over (partition by strong_id, birth_key) as founded
    from round_{{ number }}
),

round_{{ number + 1 }} as (
    select
        strong_id,
        birth_key,
        surname_key,
        min(founded) over (partition by strong_id, surname_key) as founded
    from by_birth_{{ number }}
),

{% endfor -%}
people as (
    select
        strong_id,
        birth_key,
        surname_key,
        founded
    from alike
    where variants = 1
    union all
    select
        strong_id,
        birth_key,
        surname_key,
        founded
    from round_{{ rounds }}
),

strong as (
    select
        records.record_key,
        records.full_key,
        people.founded
    from records
    inner join people
        on
            records.strong_id = people.strong_id
            and records.birth_key = people.birth_key
            and records.surname_key = people.surname_key
),

-- A full name, birth date and postcode point to a person only where they point to one.
pointers as (
    select
        full_key,
        min(founded) as founded,
        count(distinct founded) as candidates
    from strong
    where full_key is not null
    group by full_key
),

weak as (
    select
        records.record_key,
        case
            when pointers.candidates = 1 then pointers.founded
            when pointers.candidates > 1 or records.full_key is null then records.founded
            else min(records.founded) over (partition by records.full_key)
        end as founded
    from records
    left join pointers on records.full_key = pointers.full_key
    where records.strong_id is null
),

linked as (
    select
        record_key,
        founded
    from strong
    union all
    select
        record_key,
        founded
    from weak
),

final as (
    select
        record_key,
        right(founded, 32) as person_id
    from linked
)

select * from final
