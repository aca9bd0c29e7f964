with claims as (
    select * from {{ ref('stg_motor_claims') }}
),

final as (
    select
        policy_number,
        year,
        month,
        week_of_month,
        day_of_week,
        month_claimed,
        week_of_month_claimed,
        day_of_week_claimed,
        make,
        vehicle_category,
        vehicle_price,
        age_of_vehicle,
        accident_area,
        fault,
        policy_type,
        base_policy,
        deductible,
        driver_rating,
        rep_number,
        days_policy_accident,
        days_policy_claim,
        past_number_of_claims,
        police_report_filed,
        witness_present,
        agent_type,
        number_of_supplements,
        address_change_claim,
        number_of_cars,
        sex,
        marital_status,
        age,
        age_of_policy_holder,
        fraud_found,
        load_id,
        source_file,
        source_row
    from claims
)

select * from final
