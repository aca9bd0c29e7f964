"""A training's transparency record: every answer that contract, definition, releases and figures give by themselves."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.contract import Contract
from mesh.contract.model import Table
from mesh.errors import NotFound
from mesh.model.atrs import TIER_1, Answer, Record
from mesh.model.contest import contest_path
from mesh.model.context import TrainingContext
from mesh.model.definition import ModelDefinition
from mesh.model.fairness_report import p_text, told
from mesh.model.metrics import Metric
from mesh.model.model_card import size_of
from mesh.model.proxies import strongest
from mesh.model.split import TEST
from mesh.model.training import TrainedModel

RECORD_JSON, RECORD_MD = "record/record.json", "record/record.md"
HEADLINE = ("auc", "average_precision", "brier", "ece", "precision_at_capacity", "recall_at_capacity")


@dataclass(frozen=True)
class ReadRelease:
    """A release that a training read: its contract, and how many rows it had and put aside."""

    contract: Contract
    rows: int
    quarantined: int


def build_record(
    trained: TrainedModel,
    definition: ModelDefinition,
    context: TrainingContext,
    output: Contract,
    read: Mapping[str, ReadRelease],
) -> Record:
    """Everything that is known by itself; what people must add is put in later (`Record.with_words`).

    Args:
        output: the contract of the scores.
        read: by product, as `context.releases` names them.
    """
    model = f"{context.domain}/{definition.model}"
    answers: dict[tuple[str, str], Answer] = {}
    of_contract, of_definition = f"contract {output.name} {output.version}", "definition"
    of_training = f"training {context.fingerprint[:12]}"

    def put(section: str, question: str, source: str, *lines: str | None) -> None:
        kept = tuple(" ".join(line.split()) for line in lines if line and line.strip())
        if kept:
            answers[section, question] = Answer(kept, source)

    words = _description(output)
    put(TIER_1, "name", of_definition, definition.model.replace("_", " ").capitalize())
    put(TIER_1, "description", of_definition, definition.description)
    if output.odcs.support:
        put(TIER_1, "contact", of_contract, *contest_path(output).contacts)
    put("owner", "team", of_contract, output.owner, *_members(output))
    put("owner", "senior_responsible_owner", of_contract, *_named(output, "senior responsible owner"))
    put("rationale", "detailed_description", of_contract, words.get("purpose"))
    put("decision_process", "integration", of_contract, words.get("usage"))
    put("decision_process", "information_provided", of_contract, *_columns(output.tables[0]))
    put(
        "decision_process", "frequency_and_scale", f"{of_contract}, {of_definition}, releases",
        *(f"{level.name}: {level.value} {level.unit or ''}" for level in output.sla if level.name == "frequency"),
        f"{read[definition.input].rows:,} rows of {definition.input} are scored" if definition.input in read else None,
        f"the {trained.capacity:.0%} with the highest scores are flagged",
    )  # fmt: skip
    put("tool", "models", f"{of_definition}, {of_training}", *_model(trained, definition, context))
    test = trained.metrics[TEST]
    put("performance", "figures", of_training, *_figures(trained))
    if trained.fairness is not None:
        put("performance", "groups", of_training, *_groups(trained))
    put("data", "name", "releases", *(f"{product} release {context.releases[product].number}" for product in read))
    put("data", "modality", "contracts", "Tables of text, numbers and times")
    put("data", "description", "contracts", *(_purpose(product, one.contract) for product, one in read.items()))
    put("data", "quantities", f"releases, {of_training}", *_quantities(trained, read))
    put("data", "sensitive_attributes", f"{of_definition}, contracts", *_sensitive(trained, definition, read))
    limits = [f"{product}: {limit}" for product, one in read.items() if (limit := limitations(one.contract))]
    put("data", "completeness_and_representativeness", "contracts, training", *limits, *_unknown(trained, definition))
    put("data", "cleaning", "releases", *(_cleaning(product, one) for product, one in read.items()))
    put("data", "access_and_storage", "contracts", *(_access(product, one.contract) for product, one in read.items()),
        _access(definition.output, output))  # fmt: skip
    put("risks", "risks", of_contract, words.get("limitations"))
    facts = {
        "fingerprint": context.fingerprint,
        "bundle_sha256": trained.model.sha256,
        "definition": definition.digest,
        "code_revision": context.code_revision,
        "contract": {"product": output.name, "version": output.version, "hash": output.hash},
        "releases": [
            {
                "product": product,
                "release": context.releases[product].number,
                "contract_version": one.contract.version,
                "rows": one.rows,
                "quarantined": one.quarantined,
            }
            for product, one in read.items()
        ],
        "metrics": {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in test.items()},
        "fairness": _told(trained, definition),
    }
    return Record(model, facts, answers)


def record_files(record: Record) -> dict[str, str]:
    """The files by their place among the run's artefacts."""
    return {
        RECORD_JSON: json.dumps(record.to_json(), indent=1, ensure_ascii=False) + "\n",
        RECORD_MD: record.to_markdown(),
    }


def read_record(tracking_uri: str, run_id: str) -> Record:
    """The record that a training logged.

    Raises:
        NotFound: the run has none.
    """
    from mlflow.exceptions import MlflowException

    from mesh.model.tracking import prepare_tracking

    client = prepare_tracking(tracking_uri)
    with tempfile.TemporaryDirectory(prefix="mesh-record-") as folder:
        try:
            path = client.download_artifacts(run_id, RECORD_JSON, folder)
        except (MlflowException, OSError) as error:
            raise NotFound(
                "This version was trained before there were transparency records. Train it again."
            ) from error
        return Record.from_json(json.loads(Path(path).read_text(encoding="utf-8")))


def metric_line(name: str, metric: Metric) -> str:
    """`auc 0.79 (0.75 to 0.82)`."""
    interval = f" (95 %: {metric.low:.3f} to {metric.high:.3f})" if metric.low < metric.high else ""
    return f"{name.replace('_', ' ')} {metric.value:.3f}{interval}"


def _description(contract: Contract) -> dict[str, str]:
    given = contract.odcs.description
    names = ("purpose", "usage", "limitations")
    return {name: str(getattr(given, name)) for name in names if given is not None and getattr(given, name)}


def limitations(contract: Contract) -> str:
    """What the product cannot tell, in its owner's words."""
    return _description(contract).get("limitations", "")


def _purpose(product: str, contract: Contract) -> str:
    return f"{product}: {_description(contract).get('purpose', contract.description)}"


def _people(contract: Contract) -> Sequence[Any]:
    team = contract.odcs.team
    return list(getattr(team, "members", None) or ()) if not isinstance(team, list) else team


def _members(contract: Contract) -> list[str]:
    return [f"{one.role}: {one.username}" for one in _people(contract) if one.role and one.username]


def _named(contract: Contract, role: str) -> list[str]:
    return [str(one.username or one.name) for one in _people(contract) if str(one.role or "").lower() == role]


def _columns(table: Table) -> list[str]:
    return [f"{column.name}: {column.description}" for column in table.columns if column.name not in table.primary_key]


def _model(trained: TrainedModel, definition: ModelDefinition, context: TrainingContext) -> list[str]:
    card = trained.model.card
    left_out = [f"{name} ({why.rstrip('.')})" for name, why in definition.exclude.items()]
    chosen = ", ".join(f"{name} {value}" for name, value in sorted(trained.parameters.items()))
    return [
        f"{card.name}, bundle {trained.model.sha256}",
        f"Algorithm: {definition.algorithm}, {size_of(trained)}, seed {definition.seed}",
        f"Parameters: {chosen}" if chosen else "",
        f"{len(card.features)} features: {', '.join(feature.name for feature in card.features)}",
        f"Left out: {'; '.join(left_out)}" if left_out else "",
        f"Trained by code {context.code_revision}, definition {definition.digest[:12]}",
    ]


def _figures(trained: TrainedModel) -> list[str]:
    part, test = trained.parts[TEST], trained.metrics[TEST]
    speaks = [
        f"figures {prefix.rstrip('_') or 'without a prefix'}: of {who}" for prefix, who in trained.speaks_for.items()
    ]
    return [
        f"{part.rows:,} later reviewed rows, {part.positives:,} of them positive, {part.first} to {part.last}",
        *(speaks if len(speaks) > 1 else ()),
        *(metric_line(name, test[name]) for name in HEADLINE if name in test),
        *(metric_line(name, one) for name, one in test.items() if name not in (*HEADLINE, "n", "positives")),
    ]


def _groups(trained: TrainedModel) -> list[str]:
    assert trained.fairness is not None
    figures = trained.fairness.figures
    judged = sum(one.judged for one in figures)
    lines = [f"{judged} comparisons of groups, {len(figures) - judged} more on too few rows to judge"]
    for one in figures:
        if one.differs and one.p_adjusted is not None:
            lines.append(
                f"{one.column} {one.group}: {one.figure.replace('_', ' ')} {one.value:.3f} is {one.verdict} than "
                f"{one.rest:.3f} of the rest (p {p_text(one.p_adjusted)}, adjusted)"
            )
    for column, proxy in sorted(strongest(trained.fairness.proxies).items()):
        lines.append(f"{column}: told best by {proxy.feature} ({proxy.group}, AUC {proxy.auc:.3f}; 0.5 is chance)")
    return lines


def _quantities(trained: TrainedModel, read: Mapping[str, ReadRelease]) -> list[str]:
    return [
        *(f"{product}: {one.rows:,} rows" for product, one in read.items()),
        *(f"{name}: {part.rows:,} labelled rows, {part.positives:,} positive" for name, part in trained.parts.items()),
    ]


def _sensitive(trained: TrainedModel, definition: ModelDefinition, read: Mapping[str, ReadRelease]) -> list[str]:
    lines = []
    if definition.groups is not None:
        lines.append(
            f"{', '.join(definition.groups.columns)}: read from {definition.groups.product} to compare groups, never "
            "features"
        )
    if definition.protected:
        lines.append(f"Never features: {', '.join(definition.protected)}")
    used = {feature.name for feature in trained.model.card.features}
    columns = {one.name: one.classification for one in read[definition.input].contract.tables[0].columns}
    for level in ("restricted", "confidential"):
        if found := sorted(name for name in used if columns.get(name) == level):
            lines.append(f"Features classified {level}: {', '.join(found)}")
    return lines or ["None is named in the definition"]


def _unknown(trained: TrainedModel, definition: ModelDefinition) -> list[str]:
    rows = {(row["attribute"], row["group_name"]): row for row in _told(trained, definition)}
    return [
        f"{column}: {group} is {row['group_share']:.1%} of all rows"
        for (column, group), row in rows.items()
        if row["group_share"] is not None
    ]


def _told(trained: TrainedModel, definition: ModelDefinition) -> list[dict[str, Any]]:
    if trained.fairness is None or definition.groups is None:
        return []
    return [told(one, definition.groups.least_rows) for one in trained.fairness.figures]


def _cleaning(product: str, one: ReadRelease) -> str:
    moved = f"{one.quarantined:,} rows that break a rule were put aside" if one.quarantined else "no row was put aside"
    return f"{product}: {len(one.contract.rules)} rules were checked before it was released; {moved}"


def _access(product: str, contract: Contract) -> str:
    levels = sorted(
        {str(column.classification or "not classified") for table in contract.tables for column in table.columns}
    )
    kept = next((f"kept {one.value} {one.unit}" for one in contract.sla if one.name == "retention"), "")
    roles = ", ".join(str(role.role) for role in contract.odcs.roles or ())
    purposes = contract.custom.get("purposes")
    parts = [
        f"owner {contract.owner}" if contract.owner else "",
        f"lawful basis {contract.custom['lawfulBasis']}" if "lawfulBasis" in contract.custom else "",
        f"purposes {', '.join(purposes)}" if isinstance(purposes, list) else "",
        f"columns {', '.join(levels)}",
        f"read by {roles}" if roles else "",
        kept,
    ]
    return f"{product}: {'; '.join(part for part in parts if part)}"
