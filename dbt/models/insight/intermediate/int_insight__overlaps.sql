{{ overlap_rows(
    declared('insight/claim_features'), ['nino_overlapping_schemes', 'nino_repeated_periods'], ref('stg_insight__claims')
) }}
