"""Real motor claims from the bare file to published scores, beside plain gradient boosting on every column.

In a fresh copy of the project `mesh new product` makes a product of the delivered file, `mesh new model` a model of
it; nothing is edited. The figures are worked out from the published table. Trained on 1994, tested on 1995. Which
columns the model sees is chosen in training, inside 1994: `mesh model insight/motor` tells what and why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.report import Figure, arguments, show
from benchmarks.running import ROOT, copy_project

FILE = "carclaims/carclaims_1994_95.csv"
CAPACITY = 0.22
RESAMPLES = 1000
SCORES = "select policy_number, probability from insight.motor_scores_v1"
PRODUCT = "claims/motor"
COMMANDS = (
    ("new", "product", PRODUCT, "--from", FILE),
    ("run", "--select", PRODUCT),
    ("new", "model", "motor", "--product", PRODUCT, "--label", "FraudFound_P", "--time", "Year"),
    ("run", "--select", "insight/motor_scores"),
)
"""What a domain team and a model owner type; files are looked for in the landing zone."""

# Bars of the figures, and where they stand among what `evaluate` measures.
FIGURES = {
    "auc": ("auc", 0.80),
    "average_precision": ("average_precision", 0.18),
    "recall_at_22": ("recall_at_capacity", 0.55),
}


def main() -> None:
    options = arguments(__doc__ or "")
    data = Path(os.environ.get("MESH_DATA", ROOT.parent / "shared" / "data"))
    if not (data / FILE).is_file():
        sys.exit(f"The real claims are not there: {data / FILE}. Set MESH_DATA to the folder that holds carclaims/.")
    figures = measure(data, resamples=100 if options.quick else RESAMPLES)
    show(figures, as_json=options.as_json, title="Real motor claims: trained on 1994, tested on 1995")


def measure(data: Path, resamples: int = RESAMPLES) -> list[Figure]:
    """The published scores of 1995 and the peer's, each with a 95 % bootstrap interval."""
    from mesh.model import evaluate

    delivered = pd.read_csv(data / FILE)
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        scores = published_scores(Path(place), data)
    later = delivered[delivered["Year"] == 1995]
    truth = later["FraudFound_P"].to_numpy(dtype=float)
    mine = scores.set_index("policy_number").loc[later["PolicyNumber"], "probability"].to_numpy(dtype=float)
    ours = evaluate(truth, mine, CAPACITY, 7, resamples=resamples)
    peer = evaluate(truth, gradient_boosting(delivered), CAPACITY, 7, resamples=resamples)
    figures = []
    for name, (metric, bar) in FIGURES.items():
        value, other = ours[metric], peer[metric]
        peers = {
            "low": value.low, "high": value.high,
            "plain gradient boosting": other.value, "its low": other.low, "its high": other.high,
        }  # fmt: skip
        figures.append(Figure(name, value.value, "", bar, "least", peers))
    return figures


def published_scores(place: Path, data: Path) -> pd.DataFrame:
    """The table a consumer reads, after `COMMANDS` in a copy of this project."""
    project = copy_project(place / "project")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MESH_")},
        "MESH_PROJECT": str(project),
        "MESH_HOME": str(place / "home"),
        "MESH_LANDING": str(data),
    }
    out = place / "scores.parquet"
    try:
        for words in (*COMMANDS, ("sql", SCORES, "--format", "parquet", "--out", str(out))):
            _mesh([str(data / word) if word == FILE else word for word in words], environment, project)
        return pd.read_parquet(out)
    finally:
        _mesh(("down",), environment, project)


def _mesh(words: Sequence[str], environment: dict[str, str], folder: Path) -> None:
    command = [str(Path(sys.executable).parent / "mesh"), *words]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"mesh {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def gradient_boosting(delivered: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The peer: scikit-learn's gradient boosting with its own settings, on every column but the label."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = delivered.drop(columns="FraudFound_P")
    for name in rows.select_dtypes(exclude="number"):
        rows[name] = rows[name].astype("category")
    early, later = delivered["Year"] == 1994, delivered["Year"] == 1995
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=7)
    model.fit(rows[early], delivered.loc[early, "FraudFound_P"])
    predicted: np.ndarray[Any, np.dtype[np.float64]] = model.predict_proba(rows[later])[:, 1]
    return predicted


if __name__ == "__main__":
    main()
