"""Clean rows: for every contract a small table that keeps each of its promises, its bounds met exactly.

Values follow from the contract's own words. What the words cannot tell - how columns hang together, text that a
pattern takes - stands in `TOGETHER` and `TEXTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tests.gates.standard import BOUNDS, Column, Row, Table, typed

ROWS = 20
LAST = ROWS - 1
NOW = datetime(2026, 3, 2, 12, 0, 0)

# Text for patterns; the second of each pair breaks the pattern and nothing else.
TEXTS = {
    "^[A-Z][A-Z0-9_]*$": ("CJRS", "cjrs"),
    "^[0-9a-f]{32}$": ("{:032x}", "0123"),
    r"^[0-9]+\.[0-9]+\.[0-9]+$": ("1.0.0", "1.0"),
}


def rows(product: str, table: Table) -> list[Row]:
    """`ROWS` rows that keep every promise; the last misses every value that may be missing."""
    found = []
    for i in range(ROWS):
        row = {column.name: _value(column, i) for column in table.columns}
        row |= TOGETHER.get(product, lambda i: {})(i)
        optional = {column.name for column in table.columns if column.allows(None)}
        found.append({name: None if i == LAST and name in optional else value for name, value in row.items()})
    return found


def _value(column: Column, i: int) -> Any:
    good = [value for value in candidates(column, i) if value is not None and column.allows(value)]
    assert good, f"no value of {column.name} keeps all its promises"
    return good[0] if column.distinct else good[i % len(good)]


def candidates(column: Column, i: int = 0) -> Iterator[Any]:
    """Values worth trying: what the promises name, the bounds and their nearest neighbours, something plain."""
    step = smallest_step(column)
    for promise in column.promises:
        match promise.word:
            case "invalidValues" | "missingValues":
                yield from promise.given.get("validValues", ())
                yield from (value for value in promise.given.get("missingValues", ()) if value is not None)
            case "enum":
                yield from (entry["value"] for entry in promise.given)
            case "pattern":
                yield from (text.format(i) for text in TEXTS[promise.given])
            case "minLength" | "maxLength":
                yield from ("x" * n for n in (promise.given, promise.given - 1, promise.given + 1) if n >= 0)
            case "multipleOf":
                yield from (promise.given, promise.given + step)
            case word if word in BOUNDS and not column.distinct:
                bound = typed(promise.given, column.logical)
                yield from (bound, bound + step, bound - step)
    if column.logical == "string":
        # Told apart by upper case, so that it is in no list of valid values.
        yield f"{column.name.upper()}-{i}"
    else:
        yield PLAIN[column.logical](i)
        yield PLAIN[column.logical](i + 2)
    yield None


def smallest_step(column: Column) -> Any:
    """The least difference between two values of a column."""
    if column.logical == "timestamp":
        return timedelta(microseconds=1)
    if column.logical == "date":
        return timedelta(days=1)
    if column.physical.startswith("DECIMAL"):
        scale = column.physical.partition(",")[2].rstrip(") ")
        return Decimal(1).scaleb(-int(scale or 0))
    return Decimal("0.001") if column.physical in ("DOUBLE", "FLOAT") else 1


PLAIN: dict[str, Callable[[int], Any]] = {
    "integer": lambda i: i + 1,
    "number": lambda i: Decimal(i + 1),
    "boolean": lambda i: i == 0,
    "date": lambda i: date(2026, 1, 1) + timedelta(days=i),
    "timestamp": lambda i: datetime(2026, 1, 1) + timedelta(hours=i),
    "time": lambda i: time(i % 24),
}


def _claims(i: int) -> Row:
    breaches = ("", "late")[i == 1]
    return {
        "nino_status": "valid",
        "breaches": breaches,
        "breach_count": len(breaches.split(",")) if breaches else 0,
        "period_start": date(2026, 1, 1),
        "period_end": date(2026, 1, 1 + i),
    }


def _features(i: int) -> Row:
    known = i % 3
    windows = {
        f"{owner}_claims_{window}": place
        for owner in ("nino", "account", "device", "employer", "postcode")
        for place, window in enumerate(WINDOWS)
    }
    return windows | {"nino_known_systems": known, "nino_known_days": i if known else None}


def _scores(i: int) -> Row:
    return {
        "flagged": i == 0,
        "reason_1": "amount" if i % 4 > 0 else None,
        "reason_2": "account" if i % 4 > 1 else None,
        "reason_3": "device" if i % 4 > 2 else None,
        "model_name": "model",
        "model_version": "1",
    }


def _challengers(i: int) -> Row:
    return {"model_name": "model", "model_version": "2", "champion_version": "1"}


def _fairness(i: int) -> Row:
    verdict = ("not told apart", "higher", "lower", "too few rows")[i % 4]
    judged = verdict != "too few rows"
    numbers = {"value": "0.2", "low": "0.1", "high": "0.3", "p_adjusted": "0.5" if i % 4 == 0 else "0.01"}
    told = {name: Decimal(number) if judged else None for name, number in numbers.items()}
    return {"verdict": verdict, "model_name": "model", "model_version": "1", **told}


WINDOWS = ("1h", "24h", "7d", "30d", "all")

# What columns of one row owe each other, by product.
TOGETHER: dict[str, Callable[[int], Row]] = {
    "claims/claims": _claims,
    "claims/outcomes": lambda i: {"selected_at": datetime(2026, 1, 1), "decided_at": datetime(2026, 1, 1 + i)},
    "claims/motor_claims": lambda i: {"fraud_found": int(i == 1)},
    "identity/persons": lambda i: {
        "first_seen_at": datetime(2026, 1, 1),
        "updated_at": datetime(2026, 1, 1 + i),
        "nino_first_seen_at": datetime(2026, 1, 1),
        "nino_corroborated_at": datetime(2026, 1, 1 + i),
    },
    "insight/challenger_scores": _challengers,
    "insight/claim_features": _features,
    "insight/claim_scores": _scores,
    "insight/fairness": _fairness,
    "insight/motor_scores": _scores,
    "insight/claim_monitoring": lambda i: {
        "model_name": "model",
        "model_version": "1",
        "measure": "psi",
        "subject": "score",
        "status": "ok",
    },
}
