"""The types of values in features, one family for SQL and Python.

| type              | SQL            | Python                                             |
|-------------------|----------------|----------------------------------------------------|
| text              | VARCHAR        | str                                                |
| integer           | INTEGER        | int                                                |
| decimal(p, s)     | DECIMAL(p, s)  | int, the value times 10^s: amounts in whole pence  |
| date              | DATE           | int, days since 1970-01-01                         |
| timestamp         | TIMESTAMP      | int, microseconds since 1970-01-01 00:00 UTC       |
| boolean           | BOOLEAN        | bool                                               |
| words             | VARCHAR[]      | tuple of str; only inside an expression            |
| quotient          | DOUBLE         | float; only inside an expression                   |

A missing value is NULL and None. Whole numbers keep money exact, and arithmetic on them is several times faster than on
`decimal.Decimal` or `datetime`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

INTEGER_DIGITS = 10
MOST_DIGITS = 38
DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)", re.IGNORECASE)
NAMES = {
    "text": "text", "varchar": "text", "string": "text", "integer": "integer", "int": "integer", "date": "date",
    "timestamp": "timestamp", "boolean": "boolean", "bool": "boolean",
}  # fmt: skip
ALLOWED = "text, integer, decimal(digits, places), date, timestamp, boolean"


@dataclass(frozen=True)
class Type:
    """What a value is. Numbers have `digits` in all, of which `places` stand after the point."""

    kind: str
    digits: int = 0
    places: int = 0

    @property
    def numeric(self) -> bool:
        """Whether it is exact and can be reckoned with."""
        return self.kind in ("integer", "decimal")

    def __str__(self) -> str:
        return f"decimal({self.digits}, {self.places})" if self.kind == "decimal" else self.kind


TEXT, DATE, TIMESTAMP, BOOLEAN = Type("text"), Type("date"), Type("timestamp"), Type("boolean")
INTEGER = Type("integer", INTEGER_DIGITS)
WORDS, QUOTIENT, NOTHING = Type("words"), Type("quotient"), Type("nothing")
"""Types that only parts of an expression have: a name's words, an unrounded division, NULL."""


def decimal(digits: int, places: int = 0) -> Type:
    """A number of so many digits.

    Raises:
        ValueError: there is no such type.
    """
    if not 0 < digits <= MOST_DIGITS or not 0 <= places <= digits:
        raise ValueError(f"decimal({digits}, {places})")
    return Type("decimal", digits, places)


def type_of(name: str) -> Type | None:
    """The type that a contract (`DECIMAL(14,2)`) or a declaration (`decimal(14, 2)`) names; None for any other."""
    found = DECIMAL.fullmatch(name.strip())
    if found:
        try:
            return decimal(int(found[1]), int(found[2]))
        except ValueError:
            return None
    kind = NAMES.get(name.strip().lower())
    return None if kind is None else INTEGER if kind == "integer" else Type(kind)
