"""Simulated claims and what happened around them as plain tables, identifiers standing for their own tokens."""

from __future__ import annotations

from pathlib import Path

import duckdb

from mesh.features import Features
from simulator import simulate
from tests.mesh.features.histories import empty_tables

CLAIMS = """
    select claim_ref as claim_id, 'CJRS' as scheme, submitted_at, employee_nino as nino, employer_paye_ref as employer,
        furlough_start as first, furlough_end as last, claim_amount as amount, account_number as account,
        null as postcode, device_id as device
    from read_csv('{0}/claims/cjrs/*.csv', all_varchar = true)
    union all
    select claim_id, 'SEISS', submitted_at, nino, null, null, null, amount, account_number, postcode, device_id
    from read_csv('{0}/claims/seiss/*.csv', all_varchar = true)
    union all
    select reference, 'SSP', submitted_at, employee_nino, paye_ref, period_start, period_end, amount, account_number,
        null, device_id
    from read_csv('{0}/claims/ssp/*.csv', all_varchar = true)
    union all
    select advance_id, 'UC_ADVANCE', requested_at, customer_nino, null, null, null, amount, account_number, postcode,
        device_id
    from read_csv('{0}/claims/uc_advance/*.csv', all_varchar = true)
"""


def simulated_tables(
    con: duckdb.DuckDBPyConnection, features: Features, folder: Path, claims: int, seed: int
) -> dict[str, str]:
    """Simulate into a folder and fill a table for every product; a claim that was delivered twice counts once."""
    simulate(folder, claims=claims, seed=seed)
    tables = empty_tables(con, features)
    con.execute(f"""
        insert into claims_claims by name
        select claim_id, scheme, try_cast(submitted_at as timestamp) as submitted_at, nullif(nino, '') as nino_token,
            nullif(employer, '') as employer_ref, try_cast(first as date) as period_start,
            try_cast(last as date) as period_end, try_cast(amount as decimal(14, 2)) as amount,
            nullif(account, '') as bank_account_token, nullif(postcode, '') as postcode, nullif(device, '') as device_id
        from ({CLAIMS.format(folder)}) where try_cast(submitted_at as timestamp) is not null
        qualify row_number() over (partition by claim_id order by submitted_at) = 1
    """)
    con.execute(f"""
        insert into interactions_contacts by name
        select nino as nino_token, try_cast(started_at as timestamp) as started_at
        from read_csv('{folder}/interactions/contacts/*.csv', all_varchar = true)
    """)
    con.execute(f"""
        insert into interactions_messages by name
        select nino as nino_token, try_cast(sent_at as timestamp) as sent_at
        from read_json('{folder}/interactions/messages/*.jsonl')
    """)
    con.execute(f"""
        insert into claims_outcomes by name
        select claim_id, finding, try_cast(decided_at as timestamp) as decided_at
        from read_csv('{folder}/claims/outcomes/*.csv', all_varchar = true)
    """)
    con.execute(f"""
        insert into identity_persons by name
        select nino as nino_token, try_cast(updated_at as timestamp) as nino_first_seen_at,
            try_cast(updated_at as timestamp) + interval 100 days as nino_corroborated_at
        from read_csv('{folder}/identity/tax_records/*.csv', all_varchar = true)
    """)
    return tables
