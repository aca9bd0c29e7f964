{{ claim_history('employer_ref', 'employer', {'accounts': 'bank_account_token'}) }}
