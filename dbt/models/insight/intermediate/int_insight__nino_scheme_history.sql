{{ entity_history(declared('insight/claim_features'), 'nino_scheme', ref('stg_insight__claims')) }}
