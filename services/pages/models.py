"""`/models` and `/models/DOMAIN/MODEL`: how a model fares after its training, by period and by group of people.

Shown is what the products of monitoring and fairness publish, which are figures of many rows; of fewer than
`LEAST_ROWS`, or of a column that is more than internal, nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from starlette.requests import Request
from starlette.routing import Route

from mesh.access.clearance import OPEN, classified, covers
from mesh.errors import NotFound, ServiceError, UsageError
from mesh.model import ModelDefinition, load_definitions
from mesh.model.definition import FAIRNESS, MONITORING
from mesh.model.watching import BREACHED, WATCH
from mesh.release import Release
from mesh.session import Mesh
from services.pages.charts import Chart, Point, interval_chart, line_chart
from services.pages.site import Page, Site

LEAST_ROWS = 50
"""Figures of fewer rows are not shown."""

MOST_MOVED = 10

Row = Mapping[str, Any]

WATCHED = ("period", "stage", "measure", "subject", "value", "low", "high", "rows", "watch", "breach", "status")
COMPARED = (
    "attribute", "group_name", "figure", "sample_rows", "value", "low", "high", "rest_value", "p_adjusted", "verdict",
)  # fmt: skip

MEASURES = {
    ("psi", "score"): ("How far scores moved", "Population stability index of the score against what was learned from"),
    ("flag_rate", "flagged"): ("Flagged", "Share of rows flagged"),
    ("precision", "flagged"): ("Precision", "Share of flagged rows with an outcome that were rightly flagged"),
    ("recall", "flagged"): ("Recall", "Share of positive outcomes that were flagged"),
    ("calibration_gap", "probability"): ("Calibration", "Share found less mean probability; nought is right"),
    ("auc", "probability"): ("AUC", "Chance that a positive row scores above a negative one"),
    ("label_coverage", "outcome"): ("Outcomes known", "Share of rows with an outcome"),
}
"""What is drawn, in this order: title and what it is."""

FIGURES = {
    "flag_rate": "Share flagged",
    "precision": "Precision: of flagged rows, share rightly so",
    "recall": "Recall: of positive rows, share flagged",
    "false_positive_rate": "False positives: of negative rows, share flagged",
    "median_days": "Days to a decision (median)",
}


def routes(site: Site) -> list[Route]:
    return [site.route("/models", models), site.route("/models/{domain}/{model}", model)]


def models(mesh: Mesh, _request: Request) -> Page:
    served = mesh.history().served
    found = []
    for key, definition in load_definitions(mesh.settings.project).items():
        scores, watched = served.get(definition.output), served.get(definition.outputs.get(MONITORING, ""))
        found.append(
            {
                "key": key,
                "description": definition.description,
                "output": definition.output,
                "version": scores.details.get("model_version") if scores else None,
                "breaches": len(watched.details.get("breaches", ())) if watched else None,
            }
        )
    return Page("models.html", {"models": found})


def model(mesh: Mesh, request: Request) -> Page:
    key = f"{request.path_params['domain']}/{request.path_params['model']}"
    known = load_definitions(mesh.settings.project)
    if key not in known:
        raise NotFound(f"There is no model {key}. Models of this mesh: {', '.join(known) or 'none'}.")
    definition = known[key]
    watched, watched_rows = _read(mesh, definition, MONITORING, WATCHED)
    compared, compared_rows = _read(mesh, definition, FAIRNESS, COMPARED)
    shown = [row for row in watched_rows if row["rows"] >= LEAST_ROWS]
    return Page(
        "model.html",
        {
            "key": key,
            "definition": definition,
            "watched": watched,
            "compared": compared,
            "charts": monitoring_charts(shown),
            "grave": _grave(shown),
            "rows": sorted(shown, key=lambda row: (row["period"], row["stage"]), reverse=True),
            "left_out": len(watched_rows) - len(shown),
            "groups": fairness_charts([_large_enough(row) for row in compared_rows]),
            "least_rows": LEAST_ROWS,
        },
    )


def _read(
    mesh: Mesh, definition: ModelDefinition, role: str, columns: Sequence[str]
) -> tuple[Release | None, list[Row]]:
    """The served rows of the product in a role; none where the definition names none or nothing is released yet."""
    product = definition.outputs.get(role, "")
    release = mesh.history().served.get(product)
    if release is None:
        return None, []
    table = mesh.project.product(product).contract.tables[0]
    classes = {column.name: classified(column) for column in table.columns}
    hidden = [name for name in columns if name in classes and not covers(OPEN, classes[name])]
    if hidden:
        raise UsageError(
            f"{product} is not shown, because {hidden[0]} is not classified as public or internal in its contract."
        )
    # What a product leaves out of the columns that its maker gives is missing here.
    listed = ", ".join(f'"{name}"' if name in classes else f'null as "{name}"' for name in columns)
    connection = mesh.reader()
    try:
        found = connection.execute(f"select {listed} from {release.views[0]} order by all").to_arrow_table()
    except duckdb.Error as error:
        raise ServiceError(f"{product} cannot be read ({type(error).__name__}).") from None
    finally:
        connection.close()
    return release, list(found.to_pylist())


def monitoring_charts(rows: Sequence[Row]) -> list[Chart]:
    """One chart per measure that there are rows of: a line per stage, its intervals, watch and breach."""
    order = sorted({row["period"] for row in rows})
    found = []
    for (measure, subject), (title, told) in MEASURES.items():
        mine = [row for row in rows if (row["measure"], row["subject"]) == (measure, subject)]
        if not mine:
            continue
        points = [
            Point(
                at=row["period"],
                value=row["value"],
                kind=row["stage"],
                low=row["low"],
                high=row["high"],
                marked=row["status"] in (BREACHED, WATCH),
                told=_told(row),
            )
            for row in mine
        ]
        last = max(mine, key=lambda row: (row["period"], row["stage"]))
        text = f"{told}, by period from {order[0]} to {order[-1]}. Newest: {_told(last)}."
        found.append(line_chart(title, text, points, order=order, bounds=_bounds(mine)))
    return found


def _bounds(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Where a measure is to be watched or a breach, by period; a gap is as grave on either side of nought."""
    found: dict[str, dict[str, float]] = {}
    for row in sorted(rows, key=lambda row: row["period"]):
        for name in ("watch", "breach"):
            if row[name] is not None:
                found.setdefault(name, {})[row["period"]] = row[name]
                if row["measure"] == "calibration_gap":
                    found.setdefault(f"{name} below", {})[row["period"]] = -row[name]
    return found


def _told(row: Row) -> str:
    interval = f" ({row['low']:.3f} to {row['high']:.3f})" if row["low"] is not None else ""
    return f"{row['period']}, {row['stage']}: {row['value']:.3f}{interval}, {row['rows']:,} rows, {row['status']}"


def _grave(rows: Sequence[Row]) -> list[Row]:
    """What is in breach or to be watched, gravest and newest first."""
    found = [row for row in rows if row["status"] in (BREACHED, WATCH)]
    found.sort(key=lambda row: (row["period"], row["measure"], row["subject"]), reverse=True)
    return sorted(found, key=lambda row: row["status"] != BREACHED)


def fairness_charts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Per protected attribute its rows and a chart per figure: every group with its interval, the rest beside it."""
    found = []
    for attribute in dict.fromkeys(row["attribute"] for row in rows):
        mine = [row for row in rows if row["attribute"] == attribute]
        charts = []
        for figure, title in FIGURES.items():
            judged = [row for row in mine if row["figure"] == figure and row["value"] is not None]
            if not judged:
                continue
            points = [one for row in judged for one in _group_points(row)]
            differ = [f"{row['group_name']} is {row['verdict']}" for row in judged if _differs(row)]
            told = f"{title}, by {attribute.replace('_', ' ')}. " + (
                f"Beyond chance: {', '.join(differ)}." if differ else "No group differs beyond chance."
            )
            charts.append(interval_chart(title, told, points))
        found.append({"attribute": attribute, "charts": charts, "rows": mine})
    return found


def _large_enough(row: Row) -> Row:
    """The row, without its figures where they are of too few: a definition may set a lower bound for its own use."""
    if (row["sample_rows"] or 0) >= LEAST_ROWS:
        return row
    nothing = dict.fromkeys(("sample_rows", "value", "low", "high", "rest_value", "p_adjusted"))
    return {**row, **nothing, "verdict": "too few rows"}


def _group_points(row: Row) -> list[Point]:
    told = f"{row['group_name']}: {row['value']:.3f}, the rest {row['rest_value']:.3f}, {row['verdict']}"
    rest = Point(row["group_name"], row["rest_value"], "rest", told=told)
    group = Point(row["group_name"], row["value"], "group", row["low"], row["high"], _differs(row), told)
    return [rest, group]


def _differs(row: Row) -> bool:
    return row["verdict"] in ("higher", "lower")
