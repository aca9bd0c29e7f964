{{ superseded_deliveries(ref('stg_interactions__contacts'), key=['contact_id']) }}
