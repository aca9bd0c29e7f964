{{ event_rows(
    declared('insight/claim_features'), 'fraud', source('claims', 'outcomes_v1'), rows=ref('stg_insight__claims')
) }}
