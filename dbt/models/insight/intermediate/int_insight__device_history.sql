{{ entity_history(
    declared('insight/claim_features'), 'device', ref('stg_insight__claims'),
    events={'fraud': ref('stg_insight__frauds')}
) }}
