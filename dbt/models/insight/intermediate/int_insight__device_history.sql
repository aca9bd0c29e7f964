{{ claim_history('device_id', 'device', {'ninos': 'nino_token', 'accounts': 'bank_account_token'}) }}
