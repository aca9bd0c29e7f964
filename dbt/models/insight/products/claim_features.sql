{{ feature_table(
    declared('insight/claim_features'),
    ref('stg_insight__claims'),
    facts={
        'nino': ref('int_insight__nino_history'),
        'nino_scheme': ref('int_insight__nino_scheme_history'),
        'account': ref('int_insight__account_history'),
        'device': ref('int_insight__device_history'),
        'employer': ref('int_insight__employer_history'),
        'postcode': ref('int_insight__postcode_history'),
        'overlaps': ref('int_insight__overlaps'),
    },
    lookups={'person': ref('stg_insight__ninos')}
) }}
