{{ claim_history(
    'postcode', 'postcode', {'ninos': 'nino_token', 'accounts': 'bank_account_token'}, frauds=false
) }}
