"""The contract as the mesh uses it: tables, columns, service levels and engine-neutral rules.

A `Rule` carries *what* is asserted (kind, columns, arguments, threshold), not the query of one engine; audit
and Great Expectations both work from it, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from open_data_contract_standard.model import OpenDataContractStandard

from mesh.contract.majors import is_older, published_name
from mesh.errors import NotFound

Severity = Literal["error", "warning"]
Action = Literal["fail", "quarantine"]
Unit = Literal["rows", "percent"]
Kind = Literal[
    "schema", "nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount", "pattern", "format",
    "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "requiredProperties",
    "sql", "relationship", "freshness", "retention", "expectation", "unmet",
]  # fmt: skip

OPERATORS = {
    "mustBe": "must be {0}",
    "mustNotBe": "must not be {0}",
    "mustBeGreaterThan": "must be greater than {0}",
    "mustBeGreaterOrEqualTo": "must be {0} or more",
    "mustBeLessThan": "must be less than {0}",
    "mustBeLessOrEqualTo": "must be {0} or less",
    "mustBeBetween": "must be between {0} and {1}",
    "mustNotBeBetween": "must not be between {0} and {1}",
}


@dataclass(frozen=True)
class Threshold:
    """What the number that a rule measures must be; the ends of a range belong to it."""

    operator: str = "mustBe"
    values: tuple[float, ...] = (0,)
    unit: Unit = "rows"

    def accepts(self, number: float | Fraction) -> bool:
        """Compare exactly: 0.1 percent means one tenth of a percent, not the nearest float."""
        seen = number if isinstance(number, Fraction) else Fraction(str(number))
        first, last = Fraction(str(self.values[0])), Fraction(str(self.values[-1]))
        match self.operator:
            case "mustBe":
                return seen == first
            case "mustNotBe":
                return seen != first
            case "mustBeGreaterThan":
                return seen > first
            case "mustBeGreaterOrEqualTo":
                return seen >= first
            case "mustBeLessThan":
                return seen < first
            case "mustBeLessOrEqualTo":
                return seen <= first
            case "mustBeBetween":
                return first <= seen <= last
            case "mustNotBeBetween":
                return not first <= seen <= last
        raise ValueError(f"no operator {self.operator}")

    @property
    def none_allowed(self) -> bool:
        """True where not one failing row is accepted."""
        return self.values[-1] == 0 and self.operator in ("mustBe", "mustBeLessOrEqualTo")

    def __str__(self) -> str:
        sign = " %" if self.unit == "percent" else ""
        return OPERATORS[self.operator].format(*(f"{value:,}{sign}" for value in self.values))


NONE_FAIL = Threshold()


@dataclass(frozen=True)
class Rule:
    """One promise of a contract that an audit can hold a snapshot against.

    Attributes:
        id: stable and unique in the contract: `claims.amount.minimum`, or the rule's own name in the contract.
        columns: the judged columns; empty where the rule judges the whole table.
        arguments: what the kind needs, in the words of the standard (`pattern`, `validValues`, `to`, `query`, ...).
        threshold: what the number of failing rows (or their percentage of the judged rows, or the measured number
            of a rowCount or sql rule) must be.
        severity: an `error` stops a release, a `warning` is only told.
        action: `quarantine` moves failing rows aside before the audit.
        description: the sentence a user sees.
    """

    id: str
    table: str
    columns: tuple[str, ...]
    kind: Kind
    description: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    threshold: Threshold = NONE_FAIL
    severity: Severity = "error"
    action: Action = "fail"
    dimension: str | None = None

    @property
    def row_predicate(self) -> str | None:
        """A SQL condition that holds exactly for failing rows, or None where the rule judges no single rows."""
        from mesh.contract.predicates import failing_condition

        return failing_condition(self)

    @property
    def judges_nulls(self) -> bool:
        """True where a missing value can fail; all other rules judge only rows that have a value."""
        if self.path:
            return False
        return self.kind == "nullValues" or (
            self.kind == "missingValues" and None in self.arguments.get("missingValues", ())
        )

    @property
    def path(self) -> tuple[str, ...]:
        """The way inside the column: fields by name, items of an array as `[]`; empty for the column itself."""
        return tuple(self.arguments.get("path", ()))


@dataclass(frozen=True)
class Column:
    """One column of a published table.

    `physical_type` is the DuckDB type as DuckDB reports it; `primary_key_position` starts at 1. `children` are the
    fields of an object, `items` what an array holds, `entry` the key and the value of a map.
    """

    name: str
    logical_type: str
    physical_type: str
    description: str = ""
    required: bool = False
    unique: bool = False
    primary_key_position: int | None = None
    classification: str | None = None
    critical: bool = False
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    custom: Mapping[str, Any] = field(default_factory=dict, hash=False)
    children: tuple[Column, ...] = ()
    items: Column | None = None
    entry: tuple[Column, ...] = ()

    @property
    def parts(self) -> tuple[Column, ...]:
        """What stands directly inside it: fields, items, or key and value."""
        return (*self.children, *((self.items,) if self.items else ()), *self.entry)


@dataclass(frozen=True)
class Table:
    """One table of a product: its columns in published order and its rules.

    Attributes:
        name: what it is called where it is built.
        declared: what the contract calls it; another name only in an older major.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    rules: tuple[Rule, ...]
    custom: Mapping[str, Any] = field(default_factory=dict, hash=False)
    declared: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "declared", self.declared or self.name)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise NotFound(f"{self.name} has no column {name}. It has: {', '.join(c.name for c in self.columns)}.")


@dataclass(frozen=True)
class ServiceLevel:
    """One entry of `slaProperties`; `age` is set where its value and unit are a length of time."""

    name: str
    value: str | float | bool | None
    unit: str | None
    table: str | None
    column: str | None
    age: timedelta | None
    description: str


@dataclass(frozen=True)
class Contract:
    """A data contract that was read and found sound.

    `hash` is the sha256 of the file's bytes: a release seals the text that people agreed to, comments included.
    """

    path: Path
    text: str = field(repr=False)
    hash: str
    id: str
    version: str
    domain: str
    product: str
    status: str
    description: str
    owner: str | None
    tables: tuple[Table, ...]
    sla: tuple[ServiceLevel, ...]
    custom: Mapping[str, Any] = field(hash=False)
    odcs: OpenDataContractStandard = field(repr=False, hash=False, compare=False)

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def older(self) -> bool:
        """True for a major that lives on beside a newer one."""
        return is_older(self.path, self.product, self.major)

    @property
    def name(self) -> str:
        """`domain/product`, the name of the product in the mesh; `domain/product_v1` of an older major."""
        return f"{self.domain}/{self.product}" + (f"_v{self.major}" if self.older else "")

    def view(self, table: Table) -> str:
        """The public view of a table: `claims.claims_v1`."""
        return f"{self.domain}.{published_name(table.name, self.major)}"

    @property
    def freshness(self) -> ServiceLevel | None:
        """The first service level that promises how old the newest data may be."""
        return next((level for level in self.sla if level.name in ("freshness", "latency") and level.column), None)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for table in self.tables for rule in table.rules)

    @property
    def quarantine_limit_percent(self) -> float:
        """More failing rows than this are not put aside: the audit fails instead."""
        return float(self.custom.get("quarantineLimitPercent", 10))

    def table(self, name: str) -> Table:
        for table in self.tables:
            if table.name == name:
                return table
        raise NotFound(f"{self.name} has no table {name}. It has: {', '.join(t.name for t in self.tables)}.")

    def rule(self, rule_id: str) -> Rule:
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise NotFound(f"{self.name} has no rule {rule_id}. `mesh contract show {self.name}` lists its rules.")
