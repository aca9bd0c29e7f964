"""Declarations of features: what one says, and what is told of one that cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mesh.errors import ProjectError
from mesh.features import load_features
from mesh.features.batch import batch_forms
from mesh.features.compiled import check
from mesh.features.loading import product_types
from mesh.features.reading import Types, read_features
from mesh.project import load_project
from tests.domains.desk import ROOT

FEATURES = "data_products/insight/features/claim_features.yaml"
CLAIMS = "data_products/claims/features/claims.yaml"
SSP = "data_products/claims/schemes/ssp.yaml"


SCHEMES = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "data_products/claims/schemes").glob("*.yaml"))]


@pytest.fixture(scope="module")
def products() -> Mapping[str, Types]:
    """The columns of every product."""
    return {key: product_types(product) for key, product in load_project(ROOT).products.items()}


def changed(project: Path, file: str, old: str, new: str) -> int:
    """Write `new` for the first `old`; the line on which it stands."""
    path = project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_aggregates_stand_in_the_order_of_the_declaration(project: Path) -> None:
    features = load_features(load_project(project))["insight/claim_features"]
    assert [(one.name, str(one.type)) for one in features.aggregates if one.of in ("device", "nino_scheme")] == [
        ("nino_scheme_claims_30d", "integer"), ("nino_scheme_claims_all", "integer"),
        ("device_claims_1h", "integer"), ("device_claims_24h", "integer"), ("device_claims_7d", "integer"),
        ("device_claims_30d", "integer"), ("device_claims_all", "integer"), ("device_amount_1h", "decimal(18, 2)"),
        ("device_amount_24h", "decimal(18, 2)"), ("device_amount_7d", "decimal(18, 2)"),
        ("device_amount_30d", "decimal(18, 2)"), ("device_amount_all", "decimal(18, 2)"),
        ("device_days_since_first", "integer"), ("device_ninos", "integer"), ("device_accounts", "integer"),
        ("device_frauds", "integer"),
    ]  # fmt: skip
    assert [one.name for one in features.aggregates][-2:] == ["nino_overlapping_schemes", "nino_repeated_periods"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (FEATURES, "time: submitted_at ", "time: amount ", "time: names amount, which is decimal(14, 2)"),
        (FEATURES, "of: claims/claims", "of: claims/claim", "of: names claims/claim, which nobody publishes"),
        (FEATURES, "30d: 30 days", "30d: a month", "spans.30d: is no length of time Allowed: such as 1 hour"),
        (FEATURES, "time: started_at", "time: channel", "events.contact.time: names channel, which is text"),
        (FEATURES, "finding = 'fraud'", "found = 'fraud'", "events.fraud.where: names found"),
        (FEATURES, "min(nino_first_seen_at)", "avg(nino_first_seen_at)", "person.values.first_seen_at: does not fit"),
        (FEATURES, "key: device_id", "key: device", "entities.device.key: names device, which the row does not have"),
        (FEATURES, "{event: contact, span: 30d}", "{event: contact, span: 31d}", "contacts_30d.span: does not fit"),
        (FEATURES, "sum(amount)", "sum(variant)", "entities.nino.windows.amount: sums variant, which is text"),
        (FEATURES, "side: same", "side: both", "nino_repeated_periods.side: does not fit Allowed: other, same"),
        (FEATURES, "hour(submitted_at)", "hour(period_start)", "columns.submitted_hour: calls hour with date"),
        (FEATURES, "submitted_hour:", "submitted_our:", "columns.submitted_our: is not in the contract"),
        (FEATURES, "  worked_share: worked_hours / normal_hours\n", "", "columns: promises worked_share"),
        (FEATURES, "contacts_30d: nino_contacts_30d", "contacts_30d: 'yes'", "columns.contacts_30d: names yes"),
        (CLAIMS, "form: lower", "form: small", "submission.variant.form: does not fit Allowed: plain, clean"),
        (CLAIMS, "identifier: utr", "identifier: vat", "submission.utr.identifier: does not fit Allowed: nino, utr"),
        (CLAIMS, "amount: decimal(14, 2)", "amount: money", "submission.amount: is no type Allowed: text, integer"),
        (CLAIMS, "cases: entitlements, take: amount", "cases: rates, take: amount", "entitled_amount: takes rates"),
        (SSP, "sick_days > 14", "sick_dys > 14", "rules[1].breach: names sick_dys (did you mean `sick_days`?)"),
        (SSP, "    breach: sick_days > 14\n", "", "rules[1].breach: is missing"),
        (SSP, "breach: employer_size", "breech: employer_size", "breech: is no field here; did you mean breach?"),
        (SSP, "account_owner: employer_name\n", "", "account_owner: is missing"),
        (SSP, "scheme: SSP", "scheme: CJRS", "scheme: says CJRS, as cjrs.yaml does already"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_be_taken_is_told_with_its_line(
    tmp_path: Path, products: Mapping[str, Types], file: str, old: str, new: str, message: str
) -> None:
    for path in (FEATURES, CLAIMS, *SCHEMES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text())
    line = changed(tmp_path, file, old, new)
    with pytest.raises(ProjectError) as error:
        check(read_features(tmp_path / (FEATURES if file == FEATURES else CLAIMS), products.get))
    # What is missing is told at the start of what it is missing in.
    where, text = (str(error.value).split(": ", 1)) if new else (f"{file}:{line}", str(error.value))
    assert where.endswith(f"{file}:{line}")
    assert message in text


def test_a_change_of_meaning_changes_what_is_built_and_a_comment_does_not(project: Path) -> None:
    before = batch_forms(load_project(project))
    changed(project, SSP, "employer_size >= 250", "employer_size >= 250  # the law's own number")
    assert batch_forms(load_project(project)) == before
    changed(project, SSP, "employer_size >= 250", "employer_size >= 500")
    after = batch_forms(load_project(project))
    assert [product for product in before if after[product] != before[product]] == ["claims/claims"]


def test_a_product_that_is_not_an_input_cannot_be_read(project: Path) -> None:
    """What a build reads is pinned because domain.yaml names it."""
    named = "      - id: interactions-contacts\n        version: 1.0.0\n"
    changed(project, "data_products/insight/domain.yaml", named, "")
    with pytest.raises(ProjectError, match=r"events\.contact\.product: names interactions/contacts"):
        load_features(load_project(project))
