{{ superseded_deliveries(ref('stg_claims__outcomes'), key=['outcome_id']) }}
