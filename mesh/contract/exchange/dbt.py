"""A contract as dbt model properties: types, an enforced contract, and the data tests that dbt itself brings.

Nothing of a dbt package is used, so the file parses in any project that has the models.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from mesh.access.clearance import classified
from mesh.contract.model import Column, Contract, Rule, Table


def to_dbt(contract: Contract) -> tuple[str, set[str]]:
    """The YAML as text, and the ids of the rules that it tests."""
    said: set[str] = set()
    tree = {"models": [_model(contract, table, said) for table in contract.tables]}
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(tree, text)
    return text.getvalue(), said


def _model(contract: Contract, table: Table, said: set[str]) -> dict[str, Any]:
    said.add(f"{table.name}.schema")
    meta = {"contract": contract.id, "version": contract.version, "owner": contract.owner}
    about = {"description": " ".join(table.description.split())} if table.description else {}
    model: dict[str, Any] = {
        "name": table.name,
        **about,
        "config": {"contract": {"enforced": True}, "meta": {key: value for key, value in meta.items() if value}},
    }
    tests = []
    for rule in table.rules:
        if rule.kind == "duplicateValues" and len(rule.columns) > 1 and _countable(rule):
            said.add(rule.id)
            # dbt's own test takes an expression; a row of two columns names one value of both.
            tests.append({"unique": {"arguments": {"column_name": f"({', '.join(rule.columns)})"}} | _named(rule)})
    if tests:
        model["data_tests"] = tests
    model["columns"] = [_column(table, column, said) for column in table.columns]
    return model


def _column(table: Table, column: Column, said: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name}
    if column.description:
        found["description"] = " ".join(column.description.split())
    found["data_type"] = column.physical_type.lower()
    word = classified(column)
    meta = {"classification": word} if word else {}
    config = ({"meta": meta} if meta else {}) | ({"tags": list(column.tags)} if column.tags else {})
    if config:
        found["config"] = config
    tests = []
    for rule in table.rules:
        if rule.columns == (column.name,) and not rule.path and _countable(rule):
            test = _test(rule)
            if test:
                said.add(rule.id)
                tests.append(test)
    if tests:
        found["data_tests"] = tests
    return found


def _countable(rule: Rule) -> bool:
    """True where dbt's count of failing rows means the same: none may fail."""
    return rule.threshold.none_allowed


def _named(rule: Rule) -> dict[str, Any]:
    config = {"config": {"severity": "warn"}} if rule.severity == "warning" else {}
    return {"name": rule.id.replace(".", "_"), "description": rule.description} | config


def _test(rule: Rule) -> dict[str, Any] | None:
    given = rule.arguments
    match rule.kind:
        case "nullValues":
            return {"not_null": _named(rule)}
        case "duplicateValues":
            return {"unique": _named(rule)}
        case "invalidValues" if "pattern" not in given:
            values = {"values": list(given["validValues"])}
            quoted = {} if given["logicalType"] not in ("integer", "number", "boolean") else {"quote": False}
            return {"accepted_values": {"arguments": values | quoted} | _named(rule)}
        case "relationship" if given["domain"] is None:
            to = {"to": f"ref('{given['to_table']}')", "field": given["to_columns"][0]}
            return {"relationships": {"arguments": to} | _named(rule)}
    return None
