{{ lookup_rows(declared('insight/claim_features'), 'person', source('identity', 'persons_v1')) }}
