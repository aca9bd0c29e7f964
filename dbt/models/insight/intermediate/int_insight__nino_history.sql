{{ claim_history('nino_token', 'nino', {'accounts': 'bank_account_token', 'devices': 'device_id'}) }}
