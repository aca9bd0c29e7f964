{{ event_rows(declared('insight/claim_features'), 'contact', source('interactions', 'contacts_v1')) }}
