{{ feature_table(
    declared('claims/claims'), ref('int_claims__current'), facts={'overlaps': ref('int_claims__overlaps')}
) }}
