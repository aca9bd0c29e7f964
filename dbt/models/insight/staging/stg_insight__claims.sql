{{ feature_rows(declared('insight/claim_features'), source('claims', 'claims_v1')) }}
