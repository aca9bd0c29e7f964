"""One minimal damage for each promise of a contract.

What the standard says of single values, keys, counts and references is broken by its word, below. A query is broken by
hand in `QUERIES`, under the rule's id. Where damage to one column takes another out of step, `BESIDE` mends the
other; where two rules cannot but fail together, `OVERLAPS` names both and the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.gates.clean import LAST, NOW, WINDOWS, candidates
from tests.gates.standard import Promise, Row, Table, Unknown, holds


@dataclass(frozen=True)
class Damage:
    """Changed cells (row, column): value; or rows that stay; or statements on the table `{table}`."""

    cells: dict[tuple[int, str], Any]
    keep: int | None = None
    ddl: tuple[str, ...] = ()

    def on(self, rows: list[Row]) -> list[Row]:
        kept = rows[: self.keep] if self.keep is not None else rows
        return [
            row | {name: value for (place, name), value in self.cells.items() if place == i}
            for i, row in enumerate(kept)
        ]


def cells(row: int, **values: Any) -> Damage:
    return Damage({(row, name): value for name, value in values.items()})


def damages(table: Table, rows: list[Row], promise: Promise) -> list[Damage]:
    """The ways in which a promise is broken, each of them alone enough."""
    if promise.rule in QUERIES:
        return [QUERIES[promise.rule]]
    if promise.word == "sql":
        raise Unknown(f"{promise.rule}: no way to break this query; write one into QUERIES")
    if promise.word == "schema":
        return _schema(table)
    if promise.word == "duplicateValues":
        return [_repeated(promise, rows)]
    if promise.word == "rowCount":
        return [_too_few(promise, rows)]
    if promise.word == "relationships":
        return [Damage({(0, name): _stranger(rows[0][name]) for name in promise.columns})]
    if promise.word == "freshness":
        return [_late(promise, rows)]
    return [_bad_values(table, promise, rows)]


def _schema(table: Table) -> list[Damage]:
    wider = {"INTEGER": "BIGINT", "BIGINT": "HUGEINT", "TIMESTAMP": "TIMESTAMP WITH TIME ZONE", "DOUBLE": "FLOAT"}
    column = next((column for column in table.columns if column.physical in wider), table.columns[-1])
    return [
        Damage({}, ddl=("alter table {table} add column surplus integer",)),
        Damage({}, ddl=(f"alter table {{table}} alter {column.name} type {wider.get(column.physical, 'BLOB')}",)),
    ]


def _bad_values(table: Table, promise: Promise, rows: list[Row]) -> Damage:
    """Values that break this promise and no other of their column, in as few rows as its threshold takes."""
    [name] = promise.columns
    column = table.column(name)
    bad = next(value for value in candidates(column) if column.allows(value, but=promise))
    judged = sum(1 for row in rows if row[name] is not None or not promise.allows(None))
    few = next(n for n in range(1, len(rows)) if not promise.accepts(n, judged))
    found = {(i, name): bad for i in range(few)}
    for i in range(few):
        found |= {(i, other): value for other, value in BESIDE.get(promise.rule, {}).items()}
    return Damage(found)


def _repeated(promise: Promise, rows: list[Row]) -> Damage:
    few = next(n for n in range(1, len(rows)) if not promise.accepts(n + 1, len(rows)))
    return Damage({(i + 1, name): rows[0][name] for i in range(few) for name in promise.columns})


def _too_few(promise: Promise, rows: list[Row]) -> Damage:
    operator, bound, _ = promise.operator
    keep = next((n for n in range(len(rows)) if not holds(operator, Fraction(n), bound)), None)
    if keep is None:
        raise Unknown(f"{promise.rule}: no number of rows below {len(rows)} breaks it")
    return Damage({}, keep=keep)


def _stranger(value: Any) -> Any:
    """A value of the same type that is in no other table."""
    return f"{value}-unknown" if isinstance(value, str) else value + 1_000_000


def _late(promise: Promise, rows: list[Row]) -> Damage:
    [name] = promise.columns
    old = NOW - timedelta(seconds=math.ceil(promise.given)) - timedelta(days=1)
    value = old if isinstance(rows[0][name], datetime) else old.date()
    return Damage({(i, name): value for i in range(len(rows)) if rows[i][name] is not None})


# Columns that would contradict the damaged one, by the rule that is broken.
BESIDE: dict[str, dict[str, Any]] = {
    "claim_features.nino_known_days.minimum": {"nino_known_systems": 1},
    "claim_features.nino_known_systems.maximum": {"nino_known_days": 1},
    "fairness.value.minimum": {"low": None, "high": None},
} | {
    # A window below zero is smaller than every window within it, so those are left empty.
    f"claim_features.{owner}_claims_{window}.minimum": {f"{owner}_claims_{inner}": None for inner in WINDOWS[:place]}
    for owner in ("nino", "account", "device", "employer", "postcode")
    for place, window in enumerate(WINDOWS)
}

# The queries of `sql` rules, each broken by hand.
QUERIES: dict[str, Damage] = {
    "claims.period_in_order": cells(3, period_end=datetime(2025, 12, 31).date()),
    "claims.breaches_counted": cells(1, breach_count=2),
    "claims.valid_nino_has_token": cells(0, nino_token=None),
    "claims.mostly_assessed": cells(0, entitled_amount=None),
    "claims.mostly_valid_nino": Damage({(i, "nino_status"): "malformed" for i in range(2)}),
    "claims.few_breaches": Damage(
        {(i, name): value for i in range(2, 5) for name, value in (("breaches", "late"), ("breach_count", 1))}
    ),
    "outcomes.decided_after_selected": cells(0, decided_at=datetime(2025, 12, 31)),
    "persons.updated_after_first_seen": cells(0, updated_at=datetime(2025, 12, 31)),
    "persons.corroborated_after_seen": cells(0, nino_corroborated_at=datetime(2025, 12, 31)),
    "persons.cipher_has_token": cells(LAST, nino_cipher="cipher"),
    "persons.most_have_nino": Damage({(i, name): None for i in range(10) for name in ("nino_token", "nino_cipher")}),
    "persons.most_have_birth_date": Damage({(i, "date_of_birth"): None for i in range(2)}),
    "claim_features.windows_grow": cells(0, account_claims_1h=9),
    "claim_features.known_days_need_system": cells(0, nino_known_days=3),
    "claim_features.every_claim_has_features": Damage({}, keep=LAST),
    "claim_groups.every_claim_has_groups": Damage({}, keep=LAST),
    "claim_groups.most_ages_known": Damage({(i, "age_band"): None for i in range(10)}),
    "fairness.judged_has_value": cells(0, value=None),
    "fairness.interval_around_value": cells(0, value=Decimal("0.4")),
    "fairness.difference_is_significant": cells(1, p_adjusted=Decimal("0.05")),
    "fairness.one_model": cells(0, model_version="2"),
    "challenger_scores.not_the_champion": cells(0, champion_version="2"),
    "challenger_scores.challengers_bounded": Damage({(i, "model_version"): str(i + 3) for i in range(3)}),
    "claim_scores.flagged_within_capacity": Damage({(i, "flagged"): True for i in range(6)}),
    "claim_scores.reasons_in_order": cells(0, reason_2="account"),
    "claim_scores.one_model": cells(0, model_version="2"),
    "motor_scores.flagged_within_capacity": Damage({(i, "flagged"): True for i in range(7)}),
    "motor_scores.one_model": cells(0, model_version="2"),
    "claim_monitoring.one_model": cells(0, model_version="2"),
    "claim_monitoring.score_drift": cells(0, status="breach"),
    "claim_monitoring.feature_drift": cells(0, status="breach", subject="amount"),
    "claim_monitoring.flag_rate": cells(0, status="breach", measure="flag_rate"),
    "claim_monitoring.performance": cells(0, status="breach", measure="auc"),
    "claim_monitoring.calibration": cells(0, status="breach", measure="ece"),
    "motor_claims.some_fraud": cells(1, fraud_found=0),
    "messages.mostly_dated": cells(0, sent_at=None),
    "messages.no_plain_nino": cells(0, body="My number is AB 12 34 56 C."),
}

# Rules that fail with another one whatever the damage, by the damaged rule.
OVERLAPS: dict[str, dict[str, str]] = {
    "claims.breach_count.minimum": {
        "claims.breaches_counted": "no list has fewer than no ids, so a negative count is a wrong count too",
    },
    **{
        f"{table}.{column}.required": {f"{table}.one_model": "a row without a model's name counts as of another model"}
        for table in ("claim_scores", "motor_scores", "fairness", "claim_monitoring")
        for column in ("model_name", "model_version")
    },
    "claim_features.has_rows": {
        "claim_features.every_claim_has_features": "the claims are there and their features are not",
    },
    "claim_groups.has_rows": {"claim_groups.every_claim_has_groups": "the claims are there and their groups are not"},
    "fairness.has_rows": {"fairness.one_model": "no rows come from no model, which is not one model"},
    "claim_scores.has_rows": {"claim_scores.one_model": "no rows come from no model, which is not one model"},
    "motor_scores.has_rows": {"motor_scores.one_model": "no rows come from no model, which is not one model"},
    "claim_monitoring.has_rows": {"claim_monitoring.one_model": "no rows come from no model, which is not one model"},
    "motor_claims.has_rows": {"motor_claims.some_fraud": "an empty table has no fraud, which is less than some"},
}
