"""The domains' SQL on a few rows: what is published, and exactly that."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.domains.desk import ROOT, Desk, read


def person(system: str, record: str, **more: Any) -> dict[str, Any]:
    known = {f"{kind}_status": "valid" for kind in ("nino", "utr", "phone", "email") if f"{kind}_token" in more}
    return {"source_system": system, "source_record_id": record, **known, **more}


def claim(claim_id: str | None, scheme: str, **more: Any) -> dict[str, Any]:
    usual = {
        "submitted_at": "2020-06-01T09:00:00",
        "amount": "100.00",
        "nino_token": "nino:k:a",
        "nino_status": "valid",
        "bank_account_token": "bank_account:k:1",
        "bank_account_status": "valid",
    }
    return {"claim_id": claim_id, "scheme": scheme, **usual, **more}


def furlough(claim_id: str, **more: Any) -> dict[str, Any]:
    usual = {
        "period_start": "2020-05-01", "period_end": "2020-05-31", "basis_amount": "2000.00", "normal_hours": "100",
        "worked_hours": "0", "furloughed_hours": "100", "employer_ref": "120/A1", "employer_name": "Oak & Elm Limited",
        "claimant_name": "Ann Lee", "account_name": "OAK AND ELM LTD", "device_id": "D1",
    }  # fmt: skip
    return claim(claim_id, "CJRS", **{**usual, **more})


ANN = {"given_name": "Ann", "date_of_birth": "1980-01-01", "nino_token": "nino:k:a"}

RAW = {
    "raw_persons": [
        [
            person("tax", "t1", **ANN, family_name="Lee", postcode="ab1 2cd", updated_at="2019-01-01T00:00:00"),
            person("benefit", "b1", **ANN, family_name="Fox", sex="Female", updated_at="2020-05-01T00:00:00",
                   nationality="Welsh", disability="no", marital_status="Married"),
            person("tax", "t2", given_name="Bo", family_name="Ray", date_of_birth="1990-02-02", postcode="AB12CD"),
            person("benefit", "b2", given_name="BO", family_name="ray", date_of_birth="1990-02-02", postcode="AB1 2CD"),
            person("tax", "t3", given_name="Cy", family_name="Orr", date_of_birth="not known"),
        ],
        [person("tax", "t1", **ANN, family_name="Fox", postcode="", updated_at="2021-01-01T00:00:00")],
    ],
    "raw_contacts": [
        [
            {"contact_id": "k1", "nino_token": "nino:k:a", "channel": "Phone", "started_at": "2020-05-02T09:00:00"},
            {"contact_id": "k2", "nino_token": "nino:k:a", "channel": "web", "started_at": "2020-06-01T09:00:00"},
        ]
    ],
    "raw_messages": [
        [{"message_id": "m1", "nino_token": "nino:k:a", "sent_at": "2020-05-31 23:00:00", "body": " Hello "}]
    ],
    "raw_claims": [
        [
            furlough("old", amount="1.00"),
            furlough("full", amount="1600.00"),
            furlough("capped", basis_amount="9000", amount="2501.01", account_name="E A LEE"),
            furlough("part", period_start="2020-05-16", furloughed_hours="50", worked_hours="101", amount="800"),
            claim("grant 2", "SEISS", variant="2", basis_amount="10000", amount="6570", claimant_name="Ann Lee",
                  account_name="Mrs A. LEE", utr_status="valid", nino_token=None, nino_status="missing"),
            claim("grant 5", "SEISS", variant="5", basis_amount="10000", amount="7500", turnover_fall_percent="29"),
            claim("grant 6", "SEISS", variant="6", basis_amount="10000", amount="10", account_name="Lee Ann",
                  claimant_name="Ann Lee"),
            claim("sick", "SSP", period_start="2020-05-30", period_end="2020-06-12", sick_days="14", amount="191.70",
                  employer_size="250", submitted_at="2020-06-20T10:00:00"),
            claim("march", "SSP", period_start="2020-04-01", period_end="2020-04-07", sick_days="7", amount="95.86",
                  employer_size="9", submitted_at="2020-06-20T10:00:00"),
            claim("move", "UC_ADVANCE", variant="change", basis_amount="500", allowance_amount="400", amount="361.01",
                  repayment_months="6", postcode="ab12cd"),
            claim("slow", "UC_ADVANCE", variant="change", basis_amount="500", allowance_amount="400", amount="300",
                  repayment_months="7"),
            claim(None, "SSP", amount="12,50", submitted_at="yesterday"),
            claim(None, "SSP", submitted_at="infinity", period_end="infinity", sick_days="NaN"),
            # before a second system knew the person, and to no account that others share
            claim("early", "UC_ADVANCE", submitted_at="2020-04-20T09:00:00", amount="1", bank_account_token=None),
        ],
        [furlough("old", amount="1600.00", submitted_at="2020-06-01T08:30:00")],
    ],
    "raw_outcomes": [
        [
            {"outcome_id": "o1", "claim_id": "old", "decided_at": "2020-06-10", "finding": "Fraud"},
            {"outcome_id": "o2", "claim_id": "full", "decided_at": "2020-07-10", "finding": "fraud"},
        ]
    ],
}  # fmt: skip


# Made by models, not by SQL.
MADE = {"claim_scores", "challenger_scores", "claim_monitoring", "fairness"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """All four domains built once; dbt's own unit tests ran with them."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.deliver(RAW)
    desk.build()
    return desk


@pytest.mark.parametrize(
    "file",
    [file for file in sorted((ROOT / "contracts").glob("*/*.yaml")) if file.stem not in MADE],
    ids=lambda file: f"{file.parent.name}/{file.stem}",
)
def test_a_product_has_exactly_the_columns_of_its_contract(desk: Desk, file: Path) -> None:
    [table] = read(file)["schema"]
    built = desk.rows(f"describe {file.parent.name}_build.{file.stem}")
    assert [row[:2] for row in built] == [(column["name"], column["physicalType"]) for column in table["properties"]]


def test_schemes_are_assessed_by_their_files(desk: Desk) -> None:
    found = desk.rows(
        "select claim_id, amount, entitled_amount, breaches, breach_count from claims_build.claims "
        "where claim_id is not null order by claim_id"
    )
    assert found == [
        ("capped", Decimal("2501.01"), Decimal("2500.00"), "above_entitlement", 1),
        ("early", Decimal("1.00"), None, "", 0),
        ("full", Decimal("1600.00"), Decimal("1600.00"), "", 0),
        ("grant 2", Decimal("6570.00"), Decimal("6570.00"), "", 0),
        ("grant 5", Decimal("7500.00"), Decimal("2850.00"), "above_entitlement", 1),
        ("grant 6", Decimal("10.00"), None, "unknown_grant", 1),
        ("march", Decimal("95.86"), Decimal("94.25"), "above_entitlement", 1),
        ("move", Decimal("361.01"), Decimal("500.00"), "deduction_too_high", 1),
        ("old", Decimal("1600.00"), Decimal("1600.00"), "", 0),
        ("part", Decimal("800.00"), Decimal("645.16"), "above_entitlement,worked_above_normal", 2),
        ("sick", Decimal("191.70"), Decimal("191.70"), "employer_too_large,furlough_same_period", 2),
        ("slow", Decimal("300.00"), Decimal("500.00"), "change_repaid_too_slowly", 1),
    ]


def test_malformed_values_become_missing_and_the_row_stays_for_the_contract_to_judge(desk: Desk) -> None:
    found = desk.rows(
        "select amount, submitted_at, period_end, sick_days, source_row from claims_build.claims "
        "where claim_id is null order by source_row"
    )
    assert found == [(None, None, None, None, 12), (Decimal("100.00"), None, None, None, 13)]


def test_every_delivered_claim_is_published_or_listed_as_filtered(desk: Desk) -> None:
    filtered = desk.rows("select load_id, source_file, source_row, reason from claims_build.claims_filtered")
    assert filtered == [("raw_claims-1", "raw_claims-1.csv", 1, "superseded")]
    assert desk.rows("select count(*) from claims_build.claims") == [(len(RAW["raw_claims"][0]),)]


def test_account_names_are_compared_with_who_should_own_the_account(desk: Desk) -> None:
    found = desk.rows(
        "select claim_id, account_name_match from claims_build.claims "
        "where claim_id in ('full', 'capped', 'grant 2', 'grant 5', 'grant 6') order by claim_id"
    )
    assert found == [
        ("capped", "none"), ("full", "exact"), ("grant 2", "partial"), ("grant 5", "none"), ("grant 6", "exact"),
    ]  # fmt: skip


def test_records_join_to_persons_and_none_is_lost(desk: Desk) -> None:
    found = desk.rows(
        "select given_name, family_name, sex, postcode, source_records, systems, first_seen_at, nino_corroborated_at "
        "from identity_build.persons order by given_name"
    )
    assert found == [
        ("Ann", "Fox", "female", "AB1 2CD", 3, "benefit,tax", datetime(2019, 1, 1), datetime(2020, 5, 1)),
        ("BO", "ray", None, "AB1 2CD", 2, "benefit,tax", None, None),
        ("Cy", "Orr", None, None, 1, "tax", None, None),
    ]


def test_features_hold_at_the_moment_of_submission(desk: Desk) -> None:
    """`full` and `old` share everything; `old` came half an hour earlier and was found out on 10 June."""
    found = desk.rows(
        "select claim_id, nino_known_systems, nino_known_days, contacts_30d, messages_30d, account_claims_1h, "
        "account_amount_all, account_frauds, device_claims_all, nino_overlapping_schemes, nino_repeated_periods "
        "from insight_build.claim_features where claim_id in ('early', 'full', 'old', 'sick') order by claim_id"
    )
    assert found == [
        ("early", 1, 475, 0, 0, None, None, None, None, None, None),
        ("full", 2, 517, 1, 1, 1, Decimal("1600.00"), 0, 1, 0, 1),
        ("old", 2, 517, 1, 1, 0, Decimal("0.00"), 0, 0, 0, 0),
        ("sick", 2, 536, 1, 1, 0, Decimal("21242.02"), 1, None, 1, 0),
    ]


def test_groups_are_those_of_the_person_on_the_day_of_the_claim(desk: Desk) -> None:
    """A claim without a NINO stays in the comparison, as one of nobody knows whom."""
    found = desk.rows(
        "select * from insight_build.claim_groups where claim_id in ('early', 'grant 2', 'old') order by claim_id"
    )
    assert found == [
        ("early", "35 to 44", "female", "no", "british", "married"),
        ("grant 2", None, None, None, None, None),
        ("old", "35 to 44", "female", "no", "british", "married"),
    ]
