{{ entity_history(
    declared('insight/claim_features'), 'nino', ref('stg_insight__claims'),
    events={
        'fraud': ref('stg_insight__frauds'),
        'contact': ref('stg_insight__contacts'),
        'message': ref('stg_insight__messages'),
    }
) }}
