with claims as (
    select * from {{ source('claims_raw', 'raw_motor_claims') }}
),

loads as (
    select load_id
    from {{ source('claims_raw', 'current_loads') }}
),

final as (
    select
        {{ safe_cast('claims.policy_number', 'integer') }} as policy_number,
        {{ safe_cast('claims.year', 'integer') }} as year,
        {{ clean_text('claims.month') }} as month,
        {{ safe_cast('claims.week_of_month', 'integer') }} as week_of_month,
        {{ clean_text('claims.day_of_week') }} as day_of_week,
        {{ clean_text('claims.month_claimed') }} as month_claimed,
        {{ safe_cast('claims.week_of_month_claimed', 'integer') }} as week_of_month_claimed,
        {{ clean_text('claims.day_of_week_claimed') }} as day_of_week_claimed,
        {{ clean_text('claims.make') }} as make,
        {{ clean_text('claims.vehicle_category') }} as vehicle_category,
        {{ clean_text('claims.vehicle_price') }} as vehicle_price,
        {{ clean_text('claims.age_of_vehicle') }} as age_of_vehicle,
        {{ clean_text('claims.accident_area') }} as accident_area,
        {{ clean_text('claims.fault') }} as fault,
        {{ clean_text('claims.policy_type') }} as policy_type,
        {{ clean_text('claims.base_policy') }} as base_policy,
        {{ safe_cast('claims.deductible', 'integer') }} as deductible,
        {{ safe_cast('claims.driver_rating', 'integer') }} as driver_rating,
        {{ safe_cast('claims.rep_number', 'integer') }} as rep_number,
        {{ clean_text('claims.days_policy_accident') }} as days_policy_accident,
        {{ clean_text('claims.days_policy_claim') }} as days_policy_claim,
        {{ clean_text('claims.past_number_of_claims') }} as past_number_of_claims,
        {{ clean_text('claims.police_report_filed') }} as police_report_filed,
        {{ clean_text('claims.witness_present') }} as witness_present,
        {{ clean_text('claims.agent_type') }} as agent_type,
        {{ clean_text('claims.number_of_supplements') }} as number_of_supplements,
        {{ clean_text('claims.address_change_claim') }} as address_change_claim,
        {{ clean_text('claims.number_of_cars') }} as number_of_cars,
        {{ clean_text('claims.sex') }} as sex,
        {{ clean_text('claims.marital_status') }} as marital_status,
        {{ safe_cast('claims.age', 'integer') }} as age,
        {{ clean_text('claims.age_of_policy_holder') }} as age_of_policy_holder,
        {{ safe_cast('claims.fraud_found', 'integer') }} as fraud_found,
        claims._load_id as load_id,
        claims._source_file as source_file,
        claims._source_row as source_row
    from claims
    inner join loads on claims._load_id = loads.load_id
)

select * from final
