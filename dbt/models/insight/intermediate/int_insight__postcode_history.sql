{{ entity_history(declared('insight/claim_features'), 'postcode', ref('stg_insight__claims')) }}
