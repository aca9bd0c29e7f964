"""Which columns are likely to be personal data, told from names and values; a person has the last word.

Identifiers are told by their values where their form is strict (a NINO, an email address), and need a word in the
name where it is not (ten digits are a UTR only where the check digit agrees in nearly every row). Anything else is
told by words in the name, since a surname looks like any other text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mesh.access.identifiers import status

LIKELY = 0.8
"""Share of valid values above which a column is taken for an identifier."""

CERTAIN = ("nino", "email")
NAMED = {
    "utr": r"(^|_)(utr|taxpayer|tax_ref|tax_reference)(_|$)",
    "phone": r"(^|_)(phone|telephone|tel|mobile|landline|fax)(_|$)",
}
OTHER = r"(^|_)(passport|driving_licen[cs]e|nhs_(no|number)|soc_sec|ssn|social_security|national_id)(_|$)"
ACCOUNT = r"(^|_)(account|acct|bank_account)(_(no|num|number|nr))?$|^iban$"
SORT_CODE = r"(^|_)sort_?code$"

PERSON = (
    r"(person|holder|policy_holder|policyholder|customer|claimant|driver|applicant|client|patient|employee|insured)"
)
PROTECTED = (
    r"(^|_)(sex|gender|marital_status|civil_status|nationality|ethnicity|ethnic_group|race|religion|belief|disability"
    r"|disabled|pregnant|pregnancy|sexual_orientation|date_of_birth|birth_date|birthdate|dob|birth_year|year_of_birth)"
    rf"(_|$)|^age$|^age_(band|group|range|years)$|^{PERSON}_age$|^age_of_(the_)?{PERSON}(_|$)"
)
PERSONAL = (
    r"(^|_)(first_?name|fore_?name|last_?name|sur_?name|family_?name|given_?name|middle_?name|full_?name|maiden_?name"
    r"|address|postcode|post_code|zip|zip_code|street|street_number|suburb|ip_address)"
    rf"(_|$)|^(name|{PERSON}_name|account_name)$|^(address|addr)_?line"
)


@dataclass(frozen=True)
class Handling:
    """How a column should be treated: `identifier` is a kind that ingest turns into tokens, `redact` is free text."""

    classification: str = "internal"
    tags: tuple[str, ...] = ()
    identifier: str | None = None
    redact: bool = False

    @property
    def personal(self) -> bool:
        return self.classification != "internal"


def handling(name: str, values: Sequence[str], *, free_text: bool) -> Handling:
    """How a column of this name (in the mesh's spelling) with these values should be treated.

    Args:
        values: some of its values, none of them missing.
        free_text: the values are sentences.
    """
    kind = identifier(name, values)
    if kind is not None:
        return Handling("confidential", ("personal data", "identifier"), identifier=kind)
    if re.search(PROTECTED, name):
        return Handling("restricted", ("personal data", "protected characteristic"))
    if re.search(PERSONAL, name):
        return Handling("confidential", ("personal data",))
    if free_text:
        return Handling("confidential", ("personal data",), redact=True)
    return Handling()


def identifier(name: str, values: Sequence[str]) -> str | None:
    """The kind of identifier that a column holds, or None. Bank accounts: see `bank_account`."""
    if not values:
        return None
    array = pa.array(list(values), pa.string())
    for kind in CERTAIN:
        if _valid(kind, array) >= LIKELY:
            return kind
    for kind, pattern in NAMED.items():
        if re.search(pattern, name) and _valid(kind, array) >= LIKELY:
            return kind
    if re.search(r"(^|_)(nino|national_insurance)(_|$)", name):
        return "nino"
    return "other" if re.search(OTHER, name) else None


def bank_account(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that together are a bank account: sort code and account number, or one account column."""
    accounts = [name for name in names if re.search(ACCOUNT, name)]
    sort_codes = [name for name in names if re.search(SORT_CODE, name)]
    if len(accounts) == 1 and len(sort_codes) == 1:
        return (sort_codes[0], accounts[0])
    return ()


def _valid(kind: str, values: pa.Array) -> float:
    return float(pc.mean(pc.cast(pc.equal(status(kind, values), "valid"), pa.float64())).as_py())
