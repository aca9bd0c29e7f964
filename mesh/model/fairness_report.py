"""What is told of groups: rows of a product, JSON for machines, tables for people.

Whoever reads them may not know the data, so nothing in them may point at a person: counts are rounded to the nearest 5,
and of what is too small neither size nor figure is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mesh.model.fairness import FIGURES, MEDIAN_DAYS, GroupFigure, evenness, most_unequal
from mesh.model.groups import Fairness
from mesh.model.proxies import STRONG

FAIRNESS_JSON, FAIRNESS_MD = "fairness/fairness.json", "fairness/fairness.md"
FORMAT = 1
ROUNDED_TO = 5


def told(one: GroupFigure, least_rows: int) -> dict[str, Any]:
    """One figure as the product `fairness` has it."""
    digits = 1 if one.figure == MEDIAN_DAYS else 4

    def number(value: float | None, places: int = digits) -> float | None:
        return None if value is None else round(value, places)

    def count(rows: int) -> int | None:
        return None if rows < least_rows else ROUNDED_TO * round(rows / ROUNDED_TO)

    return {
        "attribute": one.column,
        "group_name": one.group,
        "figure": one.figure,
        "group_rows": count(one.rows),
        "group_share": None if one.rows < least_rows else round(one.share, 3),
        "sample_rows": count(one.n),
        "value": number(one.value),
        "low": number(one.low),
        "high": number(one.high),
        "rest_value": number(one.rest),
        "ratio_to_rest": number(one.ratio, 3),
        "p_value": one.p,
        "p_adjusted": one.p_adjusted,
        "verdict": one.verdict,
    }


def fairness_files(fairness: Fairness, least_rows: int) -> dict[str, str]:
    """The files by their place among the run's artefacts."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "figures": [told(one, least_rows) for one in fairness.figures],
        "proxies": [asdict(one) for one in fairness.proxies],
    }
    return {FAIRNESS_JSON: json.dumps(body, indent=1) + "\n", FAIRNESS_MD: to_markdown(fairness, least_rows)}


def fairness_metrics(fairness: Fairness) -> dict[str, float]:
    """One number per column and figure: how alike the most unequal group and its rest are, 1 where they are equal; and
    how many comparisons differ beyond chance.
    """
    found = {}
    for column in dict.fromkeys(one.column for one in fairness.figures):
        for figure in FIGURES:
            worst = most_unequal((one for one in fairness.figures if one.column == column), figure)
            if worst is not None:
                found[f"fairness_{column}_{figure}"] = evenness(worst)
    return {**found, "fairness_differing": float(sum(one.differs for one in fairness.figures))}


def to_markdown(fairness: Fairness, least_rows: int) -> str:
    """Two tables: groups, and the features that tell them."""
    lines = [
        "# Fairness",
        "",
        "Flag rates are of all rows. Precision, recall and false positives are of the reviewed rows later than all",
        "that the model learned from. Each group is held against the other rows with a known group; all comparisons",
        f"are one family (Holm, 5 %). Counts are to the nearest {ROUNDED_TO}; nothing is told on fewer than",
        f"{least_rows} rows.",
        "",
        *figure_table([told(one, least_rows) for one in fairness.figures]),
        "",
        "# Proxies",
        "",
        f"How well a feature alone tells a group from all others (AUC, 0.5 is chance). From {STRONG} on it stands in",
        "for the group to some degree, and leaving the group's column out does not undo that.",
        "",
        "| feature | of | group | AUC | |",
        "|---|---|---|---|---|",
        *(
            f"| {one.feature} | {one.column} | {one.group} | {one.auc:.3f} | {'proxy' if one.strong else ''} |"
            for one in fairness.proxies
        ),
    ]
    return "\n".join(lines) + "\n"


def p_text(p: float) -> str:
    """`0.004`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def figure_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `told` gave as the lines of a Markdown table."""
    head = ("of", "group", "figure", "rows", "value", "95 %", "rest", "ratio", "p (Holm)", "verdict")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        digits = 1 if row["figure"] == MEDIAN_DAYS else 3
        interval = "" if row["low"] is None else f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"
        numbers = (("value", digits), ("rest_value", digits), ("ratio_to_rest", 2))
        p = "" if row["p_adjusted"] is None else p_text(row["p_adjusted"])
        value, rest, ratio = ("" if row[name] is None else f"{row[name]:.{places}f}" for name, places in numbers)
        cells = (
            row["attribute"], row["group_name"], row["figure"].replace("_", " "), str(row["sample_rows"] or "too few"),
            value, interval, rest, ratio, p, row["verdict"],
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines
