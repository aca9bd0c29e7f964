"""A model on one page of Markdown: what it is for, what it learned from, how good it is, for whom, where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mesh.model.context import ContractRef, TrainingContext
from mesh.model.definition import LOGISTIC, ModelDefinition
from mesh.model.evidence import label_facts
from mesh.model.fairness_report import figure_table, told
from mesh.model.proxies import strongest

if TYPE_CHECKING:
    from mesh.model.training import TrainedModel

CARD = "card/model_card.md"
MOST = 15
"""Features and differences that are listed; all of them are in the run's other files."""


def model_card(
    trained: TrainedModel, definition: ModelDefinition, context: TrainingContext, limitations: Sequence[str] = ()
) -> str:
    """The card of one training.

    Args:
        limitations: what the contracts say that the scores cannot tell.
    """
    card = trained.model.card
    lines = [
        f"# {card.name}",
        "",
        definition.description,
        "",
        "It orders the work of people: the score ranks rows, and the "
        f"{trained.capacity:.0%} with the highest scores are flagged. A score decides nothing by itself.",
        "",
        "## Data",
        "",
        "| product | release | contract |",
        "|---|---|---|",
    ]
    for product, ref in context.releases.items():
        contract = context.contracts.get(product, ContractRef("", ""))
        lines.append(f"| {product} | {ref.number} | {contract.version} |")
    lines += ["", "| part | labelled rows | positive | from | to |", "|---|---|---|---|---|"]
    for name, part in trained.parts.items():
        lines.append(f"| {name} | {part.rows:,} | {part.positives:,} | {part.first} | {part.last} |")
    lines += [
        "",
        f"Positive: `{definition.label.column}` is {' or '.join(definition.label.positive)}. The parts follow one "
        "another in time; the test part was never seen. Rows that nobody looked at are in none of them.",
        "",
        *(f"- {name.replace('_', ' ')}: {fact}" for name, fact in label_facts(trained).items()),
        "",
        "## Figures",
        "",
        "| figure | test | 95 % | validation |",
        "|---|---|---|---|",
    ]
    for name, metric in trained.metrics["test"].items():
        other = trained.metrics["validation"].get(name)
        interval = f"{metric.low:.3f} to {metric.high:.3f}" if metric.low < metric.high else ""
        shown = f"{metric.value:,.0f}" if name in ("n", "positives") else f"{metric.value:.3f}"
        beside = "" if other is None else f"{other.value:,.0f}" if name in ("n", "positives") else f"{other.value:.3f}"
        lines.append(f"| {name.replace('_', ' ')} | {shown} | {interval} | {beside} |")
    lines += ["", "## Features", "", f"{len(card.features)} features; the strongest:", ""]
    ranked = sorted(trained.importance.items(), key=lambda item: (-item[1], item[0]))[:MOST]
    lines += [f"- {name} {share:.1%}" for name, share in ranked]
    left_out = [f"{name}: {why}" for name, why in definition.exclude.items()]
    lines += ["", "Left out:", "", *(f"- {one}" for one in left_out)] if left_out else []
    lines += ["", *_groups(trained, definition)]
    if limitations:
        lines += ["## Limits", "", *(f"- {' '.join(one.split())}" for one in limitations), ""]
    lines += [
        "## To repeat it",
        "",
        f"- algorithm {definition.algorithm}, seed {definition.seed}, {size_of(trained)}",
        f"- definition {definition.digest}",
        f"- code {context.code_revision}",
        f"- bundle {trained.model.sha256}",
    ]
    return "\n".join(lines) + "\n"


def size_of(trained: TrainedModel) -> str:
    """`120 trees`, or the coefficients of a logistic regression."""
    return f"{trained.trees} {'coefficients' if trained.model.card.algorithm == LOGISTIC else 'trees'}"


def _groups(trained: TrainedModel, definition: ModelDefinition) -> list[str]:
    lines = ["## Groups of people", ""]
    if trained.fairness is None or definition.groups is None:
        return [*lines, "The definition names no groups, so none were compared.", ""]
    figures = trained.fairness.figures
    differing = sorted((one for one in figures if one.differs), key=lambda one: one.p_adjusted or 0.0)
    judged = sum(one.judged for one in figures)
    lines += [
        f"{judged} comparisons of a group with the rest, {len(figures) - judged} more on too few rows to judge; "
        f"{len(differing)} differ beyond chance (Holm, 5 %).",
        "",
    ]
    if differing:
        lines += [*figure_table([told(one, definition.groups.least_rows) for one in differing[:MOST]]), ""]
    for column, proxy in sorted(strongest(trained.fairness.proxies).items()):
        lines.append(f"- {column} is told best by {proxy.feature} ({proxy.group}, AUC {proxy.auc:.3f}; 0.5 is chance)")
    return [*lines, ""]
