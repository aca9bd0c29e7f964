{{ superseded_deliveries(ref('stg_claims__claims'), key=['scheme', 'claim_id']) }}
