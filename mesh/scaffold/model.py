"""`mesh new model`: a model definition of a published product, and the contract of the scores it makes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from mesh.access.clearance import classified
from mesh.contract import Column
from mesh.contract.predicates import quoted
from mesh.errors import UsageError
from mesh.profile import words
from mesh.profile.names import snake
from mesh.project import Domain, Product
from mesh.scaffold.bundles import Change, add_bundle
from mesh.scaffold.contract import HAS_ROWS, TO_BE_WRITTEN, UNREADABLE, people
from mesh.scaffold.files import check_name, write, yaml_text
from mesh.session import Mesh

ORIGIN = ("load_id", "source_file", "source_row")
POSITIVE = ("1", "true", "yes", "y", "fraud", "positive", "found")
FEATURES = ("string", "integer", "number", "boolean")
TEST_SHARE = 0.25
FEW_TIMES = 12
"""Up to this many different times, such as years, rows are parted at the last of them."""


@dataclass(frozen=True)
class NewModel:
    """What was made: the changed files, the score product, and what a person should know."""

    output: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """All that the files say."""

    name: str
    home: Domain
    owner: str
    product: Product
    key: Column
    label: Column
    time: Column
    positive: tuple[Any, ...]
    split: dict[str, Any]
    capacity: float

    @property
    def domain(self) -> str:
        return self.home.name

    @property
    def output(self) -> str:
        return f"{self.name}_scores"


def new_model(
    mesh: Mesh,
    name: str,
    product: str,
    *,
    label: str,
    time: str,
    positive: Sequence[str] = (),
    domain: str = "insight",
    capacity: float = 0.22,
    owner: str | None = None,
) -> NewModel:
    """Write the definition of a model and the contract of its scores.

    Args:
        product: the published product to learn from, one row per key.
        label: its column that says what was found; rows without a value teach nothing.
        time: its column that orders rows; later rows are kept for testing.
        positive: label values that count as found; by default 1, true, yes or fraud, whichever there is.
        domain: the domain that owns the model and its scores.
        capacity: the share of rows that can be checked, 0 to 1.

    Raises:
        NotFound: there is no such product or domain. UsageError: a column or value is not there, the product has no
        key of one column or no release, or the model is there already.
    """
    check_name(name, "model")
    if not 0 < capacity < 1:
        raise UsageError(f"--capacity {capacity:g} does not fit. Allowed: a share between 0 and 1, such as 0.22")
    source, home = mesh.project.product(product), mesh.project.domain(domain)
    output = f"{domain}/{name}_scores"
    if output in mesh.project.products:
        raise UsageError(f"{output} is there already: contracts/{output}.yaml. Edit it, or take another name.")
    table = source.contract.tables[0]
    if len(table.primary_key) != 1:
        raise UsageError(f"{product} has no primary key of one column in its contract, so its rows cannot be scored.")
    columns = {column.name: column for column in table.columns}
    wanted = {}
    for option, given in (("--label", label), ("--time", time)):
        found = columns.get(given) or columns.get(snake(given))
        if found is None:
            raise UsageError(f"{option} {given}: {product} has no such column. Allowed: {', '.join(columns)}")
        wanted[option] = found
    served = mesh.history().served.get(product)
    if served is None:
        raise UsageError(f"{product} has no release to look at yet. Build it: mesh run --select {product}")
    connection = mesh.reader()
    try:
        values = _values(connection, served.views[0], wanted["--label"])
        times = _values(connection, served.views[0], wanted["--time"])
    finally:
        connection.close()
    plan = _Plan(
        name=name,
        home=home,
        owner=owner or _owner(home),
        product=source,
        key=columns[table.primary_key[0]],
        label=wanted["--label"],
        time=wanted["--time"],
        positive=_positive(values, positive, wanted["--label"]),
        split=_split(times, wanted["--time"]),
        capacity=capacity,
    )
    with tempfile.TemporaryDirectory(prefix="mesh-new-") as place:
        folder = Path(place)
        _write(folder, plan)
        changes = add_bundle(folder, mesh.settings.project)
    return NewModel(output, changes, tuple(_notes(plan)))


def _write(folder: Path, plan: _Plan) -> None:
    made = f"Made for {plan.product.key}; yours to edit from now on."
    write(
        folder,
        f"data_products/{plan.domain}/models/{plan.name}.yaml",
        yaml_text(_definition(plan), header=f"{made} Columns are chosen in training, and why is told in MLflow."),
    )
    write(folder, f"contracts/{plan.domain}/{plan.output}.yaml", yaml_text(_contract(plan), header=made))
    write(folder, f"data_products/{plan.domain}/domain.yaml", yaml_text(_ports(plan)))


def _definition(plan: _Plan) -> dict[str, Any]:
    table = plan.product.contract.tables[0]
    used = {plan.key.name, plan.label.name, plan.time.name}
    exclude: dict[str, str] = {}
    reasons: dict[str, str] = {}
    protected = []
    for column in table.columns:
        if column.name in used:
            continue
        if column.name in ORIGIN:
            exclude[column.name] = "Where the row came from."
        elif column.name == UNREADABLE:
            exclude[column.name] = "Always empty in what is published."
        elif "protected characteristic" in column.tags:
            protected.append(column.name)
        elif "identifier" in column.tags:
            exclude[column.name] = "An identifier can only be learned by heart."
        elif column.logical_type not in FEATURES:
            exclude[column.name] = f"A {column.logical_type} is no feature; derive a number from it in the product."
        elif classified(column) in ("confidential", "restricted"):
            exclude[column.name] = "Personal data that is no code."
        else:
            reasons[column.name] = words(column.name)
    definition: dict[str, Any] = {
        "model": plan.name,
        "description": f"Which rows of {plan.product.key} to look at first, learned from {plan.label.name} of earlier "
        "ones.",
        "input": plan.product.key,
        "key": plan.key.name,
        "label": {"column": plan.label.name, "positive": list(plan.positive)},
        "time": plan.time.name,
        "split": plan.split,
        "feature_selection": "automatic",
        "exclude": exclude,
    }
    if protected:
        definition["protected"] = protected
    return definition | {
        "capacity": plan.capacity,
        "output": f"{plan.domain}/{plan.output}",
        "reasons": reasons,
        "seed": 7,
    }


def _contract(plan: _Plan) -> dict[str, Any]:
    what = f"How likely each row of {plan.product.key} is to have {plan.label.name} " + " or ".join(
        str(value) for value in plan.positive
    )
    review = min(100, round(100 * plan.capacity) + 8)
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"{plan.domain}-{plan.output}",
        "name": plan.output,
        "version": "1.0.0",
        "status": "draft",
        "domain": plan.domain,
        "dataProduct": plan.output,
        "description": {
            "purpose": f"{what}, with the reasons, so that people look at the right ones first.",
            "usage": "Order work by score. Flagged are as many as the capacity for checking allows for. A score never "
            "decides by itself.",
            "limitations": "A probability is not a finding. Reasons name what raised the score most; they are no "
            f"proof. {TO_BE_WRITTEN}: what the labels cannot say.",
        },
        "schema": [
            {
                "name": plan.output,
                "id": plan.output,
                "logicalType": "object",
                "physicalType": "table",
                "description": f"{what}.",
                "dataGranularityDescription": f"One row per row of {plan.product.key}.",
                "properties": _columns(plan),
                "quality": [
                    HAS_ROWS,
                    {
                        "id": "flagged_within_capacity",
                        "description": f"At most {review} % are flagged; the capacity is {100 * plan.capacity:g} %.",
                        "type": "sql",
                        "query": "select coalesce(100.0 * count(*) filter (where flagged) / nullif(count(*), 0), 0) "
                        "from ${table}",
                        "mustBeLessOrEqualTo": review,
                        "dimension": "accuracy",
                        "severity": "warning",
                    },
                ],
            }
        ],
        "slaProperties": [
            {
                "property": "freshness",
                "value": 7,
                "unit": "d",
                "description": "Assumed until the owner says how often scores are needed.",
            }
        ],
        **people(plan.domain, plan.owner),
    }


def _columns(plan: _Plan) -> list[dict[str, Any]]:
    def column(name: str, logical: str, physical: str, says: str, **more: Any) -> dict[str, Any]:
        made = {"name": name, "logicalType": logical, "physicalType": physical, "description": says}
        return made | {"classification": "internal", "required": True} | more

    def options(**given: Any) -> dict[str, Any]:
        return {"logicalTypeOptions": given}

    source = plan.product
    points_at = f"{source.domain}.{source.contract.tables[0].name}.{plan.key.name}"
    bands = {
        "id": "band_known",
        "description": "One of the three bands.",
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": ["high", "medium", "low"]},
        "mustBe": 0,
        "dimension": "conformity",
        "severity": "error",
    }
    key, time = plan.key, plan.time
    return [
        column(key.name, key.logical_type, key.physical_type, f"The row of {source.key}.",
               classification=classified(key) or "internal", primaryKey=True, primaryKeyPosition=1,
               relationships=[{"type": "foreignKey", "to": points_at,
                               "customProperties": [{"property": "severity", "value": "error"}]}]),
        column(time.name, time.logical_type, time.physical_type, f"As in {source.key}.",
               classification=classified(time) or "internal", required=time.required),
        column("probability", "number", "DOUBLE", "Probability that a check would find it, as the model sees it.",
               criticalDataElement=True, **options(minimum=0, maximum=1)),
        column("score", "integer", "INTEGER", "How many percent of all rows rank below, 0 to 100.",
               **options(minimum=0, maximum=100)),
        column("band", "string", "VARCHAR", "The score in a word.", quality=[bands]),
        column("flagged", "boolean", "BOOLEAN", "Whether the row is within the capacity for checking.",
               criticalDataElement=True),
        column("reason_1", "string", "VARCHAR", "What raised the score most; missing where nothing raised it.",
               required=False),
        column("reason_2", "string", "VARCHAR", "What raised the score next.", required=False),
        column("reason_3", "string", "VARCHAR", "What raised the score after that.", required=False),
        column("model_name", "string", "VARCHAR", "Registered name of the model."),
        column("model_version", "string", "VARCHAR", "Registered version of the model."),
        column("input_release", "integer", "INTEGER",
               f"Release of {source.key} that was scored, so that the score can be replayed.", **options(minimum=1)),
        column("input_contract_version", "string", "VARCHAR", "Contract version of that release.",
               **options(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")),
    ]  # fmt: skip


def _ports(plan: _Plan) -> dict[str, Any]:
    contract = plan.product.contract
    ports: dict[str, Any] = {}
    reads = {port.contract_id for port in plan.home.file.input_ports}
    if plan.product.domain != plan.domain and contract.id not in reads:
        ports["inputPorts"] = [{"name": plan.product.name, "version": contract.version, "contractId": contract.id}]
    ports["outputPorts"] = [
        {
            "name": plan.output,
            "description": f"One row per row of {plan.product.key} with its score, band and reasons.",
            "type": "tables",
            "version": "1.0.0",
            "contractId": f"{plan.domain}-{plan.output}",
            "inputContracts": [{"id": contract.id, "version": contract.version}],
        }
    ]
    return ports


def _notes(plan: _Plan) -> list[str]:
    split = plan.split
    parted = (
        f"up to {split['train']['to']} it learns, from {split['test']['from']} on it is tested"
        if "train" in split
        else f"the latest {split['test_share']:.0%} of the labelled rows are kept for testing"
    )
    notes = [f"By {plan.time.name}: {parted}."]
    if plan.label.required:
        notes.append(
            f"{plan.label.name} is required by contracts/{plan.product.key}.yaml, so rows whose outcome is not known "
            "yet would be put aside; make it `required: false` if some come without it."
        )
    return notes


def _values(connection: duckdb.DuckDBPyConnection, view: str, column: Column) -> list[Any]:
    """The different values of a column in their order; nothing where there are too many to be codes or years."""
    name = quoted(column.name)
    rows = connection.execute(
        f"select distinct {name} as one from {view} where one is not null order by one limit {FEW_TIMES + 1}"
    ).fetchall()
    return [row[0] for row in rows] if len(rows) <= FEW_TIMES else []


def _positive(values: Sequence[Any], given: Sequence[str], label: Column) -> tuple[Any, ...]:
    known = {str(value).lower(): value for value in values}
    if len(values) < 2:
        told = "only one value" if values else "too many different values, or none"
        raise UsageError(
            f"--label {label.name} has {told}, so nothing can be told apart. Allowed: a column of outcomes"
        )
    wanted = [value.lower() for value in given] or [value for value in POSITIVE if value in known][:1]
    unknown = [value for value in wanted if value not in known]
    if unknown or not wanted:
        missing = f"--positive {unknown[0]}: {label.name} has no such value." if unknown else (
            f"Which value of {label.name} counts as found? Say it with --positive."
        )  # fmt: skip
        raise UsageError(f"{missing} Allowed: {', '.join(str(value) for value in values)}")
    if len(set(wanted)) == len(known):
        raise UsageError(f"--positive names every value of {label.name}, so nothing is left to tell apart.")
    # Booleans are told by their text, as the definition compares texts.
    return tuple(str(known[value]).lower() if isinstance(known[value], bool) else known[value] for value in wanted)


def _split(times: Sequence[Any], column: Column) -> dict[str, Any]:
    """At the last of a few times such as years, else by share."""
    if column.logical_type not in ("integer", "date", "timestamp"):
        raise UsageError(f"--time {column.name} is a {column.logical_type}. Allowed: a whole number, date or timestamp")
    if column.logical_type == "integer" and len(times) >= 2:
        return {"train": {"to": times[-2]}, "test": {"from": times[-1]}}
    return {"test_share": TEST_SHARE}


def _owner(domain: Domain) -> str:
    team = domain.file.team
    return str(team["name"]) if isinstance(team, dict) and team.get("name") else f"{domain.name}-data-team"
