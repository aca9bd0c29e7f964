"""One way out of a contract: the text in the target format, and the rules that it has no word for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mesh.contract.loading import parse_contract
from mesh.contract.model import Contract, Rule, Table
from mesh.errors import UsageError

EXPORTS = ("odcs", "jsonschema", "pydantic", "sql", "dbt", "avro", "html")
ONE_TABLE = ("jsonschema", "avro")


@dataclass(frozen=True)
class Exported:
    """The text, byte for byte as it is to be written, and the rules that it does not say."""

    text: str
    left_out: tuple[Rule, ...]


def export(contract: Contract, form: str, *, table: str | None = None, dialect: str | None = None) -> Exported:
    """A contract in another format.

    Args:
        form: one of `EXPORTS`.
        table: the table to export; a JSON Schema and an Avro schema describe one, the others take all without it.
        dialect: the SQL dialect of `sql`, DuckDB's without it.

    Raises:
        UsageError: a format, option or dialect that there is not, or a table that must be named.
        NotFound: the contract has no such table.
    """
    if form not in EXPORTS:
        raise UsageError(f"A contract cannot be exported as `{form}`. Allowed: {', '.join(EXPORTS)}.")
    if dialect is not None and form != "sql":
        raise UsageError(f"`--dialect` is for the format sql, not for {form}.")
    if table is not None and form in ("odcs", "html"):
        raise UsageError(f"The format {form} takes the whole contract, so `--table` has no meaning.")
    # Read anew from its text, so that only what the file promises is exported and no rule of a consumer.
    whole = parse_contract(contract.text.encode(), contract.path)
    chosen = replace(whole, tables=(whole.table(table),)) if table else whole
    if form in ONE_TABLE and len(chosen.tables) > 1:
        names = ", ".join(each.name for each in chosen.tables)
        raise UsageError(f"{form} describes one table and {contract.name} has several: add `--table` with {names}.")
    text, said = _write(chosen, chosen.tables[0], form, dialect)
    if form in ("odcs", "html"):
        return Exported(text, ())
    rules = (rule for each in chosen.tables for rule in each.rules)
    return Exported(text, tuple(rule for rule in rules if rule.id not in said))


def _write(contract: Contract, table: Table, form: str, dialect: str | None) -> tuple[str, set[str]]:
    # Imported when asked for: a listing of commands pays for none of them.
    match form:
        case "jsonschema":
            from mesh.contract.exchange.json_schema import to_json_schema

            return to_json_schema(contract, table)
        case "pydantic":
            from mesh.contract.exchange.pydantic_model import to_pydantic

            return to_pydantic(contract)
        case "sql":
            from mesh.contract.exchange.sql import DIALECT, to_sql

            return to_sql(contract, dialect or DIALECT)
        case "dbt":
            from mesh.contract.exchange.dbt import to_dbt

            return to_dbt(contract)
        case "avro":
            from mesh.contract.exchange.avro import to_avro

            return to_avro(contract, table)
        case "html":
            from mesh.catalogue.contract_page import contract_page

            return contract_page(contract), set()
    return contract.text, set()
