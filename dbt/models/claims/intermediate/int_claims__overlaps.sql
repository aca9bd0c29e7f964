{{ overlap_rows(declared('claims/claims'), ['overlapping_schemes'], ref('int_claims__current')) }}
