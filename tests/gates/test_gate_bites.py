"""Every rule of every shipped contract bites: damage that breaks it fails that rule, and only that rule.

The damage comes from the standard's words (`standard.py`), not from the compiler that is on trial. Great Expectations
on pandas is the second witness wherever it has a word for the rule.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mesh.audit.gx import expected, validate_with_gx
from mesh.contract import Contract, load_contract
from tests.domains.desk import contract_files, read
from tests.gates import clean
from tests.gates.bench import Bench
from tests.gates.damage import OVERLAPS, QUERIES, Damage, damages
from tests.gates.standard import Row, Table, tables

FILES = {f"{file.parent.name}/{file.stem}": file for file in contract_files()}


@cache
def _read(product: str) -> tuple[Contract, list[Table]]:
    return load_contract(FILES[product]), tables(read(FILES[product]))


@pytest.fixture(params=FILES)
def product(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_promise_of_the_contract_is_a_rule_of_the_audit(product: str) -> None:
    """A rule that these tests cannot break would be one that nobody has seen bite."""
    contract, given = _read(product)
    assert sorted(rule.id for rule in contract.rules) == sorted(p.rule for table in given for p in table.promises)


def test_each_rule_fails_alone_on_its_own_damage(product: str) -> None:
    contract, given = _read(product)
    wrong: dict[str, set[str]] = {}
    with Bench(contract) as bench:
        rows = _lay_out(bench, product, given)
        assert bench.failed() == set(), "the clean table must keep every promise"
        for table in given:
            for promise in table.promises:
                for damage in damages(table, rows[table.name], promise):
                    bench.damage(table.name, damage)
                    failed = bench.failed()
                    if failed != {promise.rule, *OVERLAPS.get(promise.rule, ())}:
                        wrong[promise.rule] = failed
            bench.clean(table.name, rows[table.name])
    assert wrong == {}


def test_every_rule_about_values_bites_in_a_lake(product: str, tmp_path: Path) -> None:
    """The audit may answer from a lake's statistics what it scans elsewhere; here all damages lie in one candidate."""
    contract, given = _read(product)
    with Bench(contract, tmp_path / "lake") as bench:
        rows = _lay_out(bench, product, given)
        assert bench.failed() == set()
        for table in given:
            broken, cells = set(), {}
            for column in table.columns:
                for n, promise in enumerate(column.promises):
                    [damage] = damages(table, rows[table.name], promise)
                    cells |= {
                        (row + n, name): value for (row, name), value in damage.cells.items() if name == column.name
                    }
                    broken.add(promise.rule)
            bench.damage(table.name, Damage(cells))
            assert broken <= bench.failed()


def _lay_out(bench: Bench, product: str, given: list[Table]) -> dict[str, list[Row]]:
    rows = {table.name: clean.rows(product, table) for table in given}
    bench.publish_targets(given, rows)
    for name, clean_rows in rows.items():
        bench.clean(name, clean_rows)
    return rows


def test_great_expectations_sees_the_same_rule_fail(product: str) -> None:
    """Each damaged column stands in one wide frame under a name of its own, beside all rules of that column."""
    contract, given = _read(product)
    for table in given:
        rows = clean.rows(product, table)
        terms = contract.table(table.name)
        assert {rule for rule, seen in _seen(contract, terms, rows).items() if not seen["success"]} == set()
        wide = [dict[str, Any]() for _ in rows]
        columns, rules, should_fail = [], [], set()
        for n, promise in enumerate(table.promises):
            for damage in damages(table, rows, promise):
                if damage.keep is not None or not damage.cells:
                    continue
                touched = {name for (_, name), value in damage.cells.items() if value is not None}
                touched |= set(promise.columns)
                for i, row in enumerate(damage.on(rows)):
                    wide[i] |= {f"d{n}_{name}": row[name] for name in touched}
                columns += [replace(terms.column(name), name=f"d{n}_{name}") for name in sorted(touched)]
                for rule in terms.rules:
                    if rule.columns and set(rule.columns) <= touched:
                        moved = tuple(f"d{n}_{name}" for name in rule.columns)
                        rules.append(replace(rule, id=f"{n}:{rule.id}", columns=moved))
                        if rule.id == promise.rule and expected(rules[-1]) is not None:
                            should_fail.add(f"{n}:{rule.id}")
        seen = _seen(contract, replace(terms, columns=tuple(columns), rules=tuple(rules)), wide)
        assert {rule for rule, found in seen.items() if not found["success"]} == should_fail


def test_great_expectations_sees_a_table_without_rows(product: str) -> None:
    contract, given = _read(product)
    for table in given:
        terms = contract.table(table.name)
        counts = tuple(rule for rule in terms.rules if rule.kind == "rowCount")
        for promise in table.promises:
            if promise.word == "rowCount":
                rows = clean.rows(product, table)
                [damage] = damages(table, rows, promise)
                seen = _seen(contract, replace(terms, rules=counts), damage.on(rows))
                assert [rule for rule, found in seen.items() if not found["success"]] == [promise.rule]


def test_no_way_to_break_a_rule_outlives_the_rule() -> None:
    known = {promise.rule for product in FILES for table in _read(product)[1] for promise in table.promises}
    assert set(QUERIES) | set(OVERLAPS) | {rule for others in OVERLAPS.values() for rule in others} <= known


def _seen(contract: Contract, table: Any, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What Great Expectations says of rows, typed as the contract says."""
    with duckdb.connect() as con:
        columns = ", ".join(f'"{column.name}" {column.physical_type}' for column in table.columns)
        con.execute(f"create table t ({columns})")
        marks = ", ".join("?" for _ in table.columns)
        if rows:
            con.executemany(
                f"insert into t values ({marks})", [[row[column.name] for column in table.columns] for row in rows]
            )
        return validate_with_gx(con.execute("from t").df(), contract, table)
