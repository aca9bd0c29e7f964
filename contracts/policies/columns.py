"""How tables and columns are made, so that every product reads like every other."""

import re
from collections.abc import Iterator

from mesh.contract.policies import Column, Place, Policy, Terms

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Longer names are cut off by Postgres, which holds the lake's catalog.
LONGEST = 63

MONEY = frozenset({
    "amount", "balance", "budget", "charge", "cost", "expenditure", "expense", "fee", "fine", "income",
    "payment", "payout", "premium", "price", "profit", "refund", "rent", "revenue", "salary", "subsidy", "tax",
    "turnover", "wage",
})  # fmt: skip
# What makes a number of money something else: a share, a count, a date, a word for it.
NO_MONEY = frozenset({
    "band", "category", "code", "count", "date", "days", "flag", "id", "index", "kind", "level", "months",
    "number", "percent", "probability", "rank", "rate", "ratio", "ref", "score", "share", "status", "to",
    "token", "type", "years", "zscore",
})  # fmt: skip
QUANTITIES = frozenset({
    "delay", "distance", "duration", "elapsed", "height", "interval", "latency", "length", "mileage", "speed",
    "temperature", "timeout", "weight", "width",
})  # fmt: skip


def is_money(column: Column) -> bool:
    parts = set(column.name.lower().split("_"))
    number = column.data.get("logicalType") in ("number", "string")
    return "money" in column.tags or (number and bool(parts & MONEY) and not parts & NO_MONEY)


class PrimaryKeyNamed(Policy):
    """Every table names the columns that tell its rows apart, so that consumers can join it."""

    allowed = "primaryKey: true on at least one column"

    def check(self, contract: Terms) -> Iterator[Place]:
        for path, table in contract.tables():
            if not any(column.get("primaryKey") for column in table.get("properties") or ()):
                yield Place((*path, "properties"))


class MoneyIsDecimal(Policy):
    """Money is exact: a DECIMAL with its places, or whole pounds or pence in an integer; never a float or text."""

    allowed = "logicalType: number with physicalType: DECIMAL(p,s), or logicalType: integer"

    def check(self, contract: Terms) -> Iterator[Place]:
        for column in contract.columns():
            physical = str(column.data.get("physicalType") or "").upper()
            exact = column.data.get("logicalType") == "integer" or physical.startswith(("DECIMAL", "NUMERIC"))
            if is_money(column) and not exact:
                yield Place((*column.path, "physicalType"), f"`{column.name}` is not.")


class NamesAreSnakeCase(Policy):
    """Tables and columns are named in snake_case of at most 63 characters, so that no engine needs quotes."""

    allowed = "lower case letters and digits, words joined by one _"

    def check(self, contract: Terms) -> Iterator[Place]:
        named = [(path, table.get("name")) for path, table in contract.tables()]
        named += [(column.path, column.name) for column in contract.columns()]
        for path, name in named:
            if not NAME.fullmatch(str(name)) or len(str(name)) > LONGEST:
                yield Place((*path, "name"), f"`{name}` is not.")


class QuantitiesNameTheirUnit(Policy):
    """The name of a quantity ends in its unit, such as `duration_seconds`, so that nobody has to guess it."""

    severity = "warning"
    allowed = "a unit after the quantity"

    def check(self, contract: Terms) -> Iterator[Place]:
        for column in contract.columns():
            number = column.data.get("logicalType") in ("number", "integer")
            if number and column.name.split("_")[-1] in QUANTITIES:
                yield Place((*column.path, "name"), f"`{column.name}` does not.")
