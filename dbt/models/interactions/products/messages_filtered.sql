{{ superseded_deliveries(ref('stg_interactions__messages'), key=['message_id']) }}
