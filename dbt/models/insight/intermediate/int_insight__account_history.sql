{{ claim_history(
    'bank_account_token', 'account', {'ninos': 'nino_token', 'employers': 'employer_ref', 'devices': 'device_id'}
) }}
