"""What a run tells of the labels, of whom figures speak for, and of the search: counts and figures, never a row."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.model.training import TrainedModel

LABELS, SEARCH = "labels.json", "search.json"


def label_facts(trained: TrainedModel) -> dict[str, object]:
    """The labels in a line each: what is open and how old, what was put aside, what is contradicted, who is meant."""
    late, doubt = trained.lateness, trained.contradictions
    facts: dict[str, object] = {
        "figures_speak_for": "; ".join(f"{name or 'plain '}: {who}" for name, who in trained.speaks_for.items()),
        "labels_open": late.open,
        "labels_open_oldest_days": late.open_oldest_days,
        "label_delay_days": late.delay_days,
        "rows_too_young": late.too_young,
        "labels_contradicted": doubt.contradicted_positives + doubt.contradicted_negatives,
    }
    for part, sample in trained.samples.items():
        facts |= {f"{part}_random_rows": sample.at_random, f"{part}_effective_rows": round(sample.effective, 1)}
    return {name: value for name, value in facts.items() if value is not None}


def search_facts(trained: TrainedModel) -> dict[str, object]:
    """How many trials, and which was best."""
    found = trained.search
    if found is None:
        return {}
    return {"search_trials": len(found.trials), "search_best_trial": found.best, "search_objective": found.objective}


def write_evidence(folder: Path, trained: TrainedModel) -> None:
    """`labels.json` and, after a search, `search.json` with all its trials."""
    folder.mkdir(parents=True, exist_ok=True)
    body: dict[str, Any] = {
        "lateness": asdict(trained.lateness),
        "contradictions": asdict(trained.contradictions),
        "figures_speak_for": dict(trained.speaks_for),
        "samples": {part: asdict(sample) for part, sample in trained.samples.items()},
        "costs": None if trained.model.card.costs is None else dict(trained.model.card.costs),
    }
    _write(folder / LABELS, body)
    if trained.search is not None:
        _write(folder / SEARCH, trained.search.to_dict())


def _write(path: Path, body: dict[str, Any]) -> None:
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
