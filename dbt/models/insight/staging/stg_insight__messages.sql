{{ event_rows(declared('insight/claim_features'), 'message', source('interactions', 'messages_v1')) }}
