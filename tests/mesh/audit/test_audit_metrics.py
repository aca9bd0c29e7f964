"""Every metric of the standard with every operator and unit is judged by an audit, with the standard's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from audit_lake import Lake, contract

# word, n: eight rows, of which two have no word.
ROWS = "(null, 1), (null, 1), ('', 2), ('n/a', 3), ('a', 4), ('a', 4), ('b', 5), ('zz', 6)"

METRICS = {
    "nullValues": ("column", "{metric: nullValues}", 2, 8),
    "missingValues": ("column", "{metric: missingValues, arguments: {missingValues: [null, '', n/a]}}", 4, 8),
    "listed": ("column", "{metric: invalidValues, arguments: {validValues: [a, b, '']}}", 2, 6),
    "matched": ("column", "{type: library, metric: invalidValues, arguments: {pattern: '^[a-z/]*$'}}", 0, 6),
    "duplicateValues": ("column", "{metric: duplicateValues}", 2, 6),
    "together": ("table", "{metric: duplicateValues, arguments: {properties: [word, n]}}", 2, 6),
    "rowCount": ("table", "{metric: rowCount}", 8, None),
    "query": ("table", "{type: sql, query: 'select count(word) from ${object}'}", 6, None),
    "column_query": ("column", "{type: sql, query: 'select count(${property}) from {table}'}", 6, None),
}
"""Of each metric: where it stands, how it is written, how many rows it counts of how many it judges."""

OPERATORS = {
    "mustBe": lambda seen, bound: seen == bound,
    "mustNotBe": lambda seen, bound: seen != bound,
    "mustBeGreaterThan": lambda seen, bound: seen > bound,
    "mustBeGreaterOrEqualTo": lambda seen, bound: seen >= bound,
    "mustBeLessThan": lambda seen, bound: seen < bound,
    "mustBeLessOrEqualTo": lambda seen, bound: seen <= bound,
    "mustBeBetween": lambda seen, bound: bound <= seen <= bound + 4,
    "mustNotBeBetween": lambda seen, bound: not bound <= seen <= bound + 4,
}
BOUNDS = (2, 25)


def cases() -> Iterator[tuple[str, str, str, bool]]:
    """Id, place and text of each rule, and whether the rows keep it."""
    for metric, (place, text, count, judged) in METRICS.items():
        for unit in (", unit: rows", *((", unit: percent",) if judged else ())):
            seen = Fraction(100 * count, judged) if judged and "percent" in unit else Fraction(count)
            for operator, holds in OPERATORS.items():
                for bound in BOUNDS:
                    value: Any = [bound, bound + 4] if operator.endswith("Between") else bound
                    name = f"{metric}_{operator}_{bound}{unit.replace(', unit: ', '_')}"
                    yield name, place, f"{text[:-1]}, name: {name}, {operator}: {value}{unit}}}", holds(seen, bound)


def test_every_metric_is_held_with_every_operator_and_unit(lake: Lake) -> None:
    expected, lists = {}, {"column": "", "table": ""}
    for name, place, text, kept in cases():
        lists[place] += f"{'          ' if place == 'column' else '      '}- {text}\n"
        expected[f"t.{'word.' if place == 'column' else ''}{name}"] = "passed" if kept else "failed"
    terms = contract(
        f"  - name: t\n    properties:\n      - name: word\n        logicalType: string\n        quality:\n"
        f"{lists['column']}      - {{name: n, logicalType: integer}}\n    quality:\n{lists['table']}"
    )
    lake.build(terms, t=ROWS)
    found = {result.rule_id: result.status for result in lake.audit(terms).results}
    assert found.pop("t.schema") == "passed"
    assert found == expected
    assert set(found.values()) == {"passed", "failed"}
    assert len(found) == len(OPERATORS) * len(BOUNDS) * (6 * 2 + 3)
