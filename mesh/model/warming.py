"""`python -m mesh.model.warming`: compile the kernels now, so that the first scoring does not wait for it.

They are compiled once per kind of model: how many leaves a tree has at most decides how wide its words are. Small
models of each kind go through every kernel here; Numba keeps the result (see `mesh.model.kernels`).
"""

from __future__ import annotations

LEAVES = (16, 32, 64)
"""The most leaves of a tree in each kind of model."""

ROWS, WIDTH = 600, 3


def warm() -> None:
    """Compile every kernel for every kind of model; nothing is left to do where that was done before."""
    import numpy as np

    from mesh.model import kernels
    from mesh.model.compiled import compile_trees
    from mesh.model.contributions import Forest
    from mesh.model.encoding import CATEGORY, NUMBER, Feature
    from mesh.model.engine import lightgbm
    from mesh.model.reasons import REASONS, Texts
    from mesh.model.trees import read_trees

    lgb, rng = lightgbm(), np.random.default_rng(1)
    rows = rng.normal(size=(ROWS, WIDTH))
    rows[:, 0] = rng.integers(0, 4, ROWS)
    rows[rng.random(ROWS) < 0.1, 1] = np.nan
    truth = rows[:, 2] + (rows[:, 0] == 1) > rng.normal(size=ROWS)
    features = (Feature("kind", CATEGORY, ("a", "b", "c", "d")), Feature("count", NUMBER), Feature("amount", NUMBER))
    told = Texts(features, {}).told()
    for leaves in LEAVES:
        given = {"objective": "binary", "num_leaves": leaves, "max_depth": 8, "min_data_in_leaf": 1, "max_bin": 63,
                 "num_threads": 1, "verbosity": -1}  # fmt: skip
        booster = lgb.train(given, lgb.Dataset(rows, truth, categorical_feature=[0]), 2)
        compiled = compile_trees(read_trees(booster.model_to_string()), WIDTH)
        forest = Forest(compiled)
        compiled.margin(rows[0])
        compiled.margins(rows)
        forest.contributions(rows, kernels=True)
        of_row = np.empty((ROWS, REASONS), np.int32)
        kernels.explained(
            rows, 0, ROWS, compiled.of_grid, compiled.scorer, forest.explainer, told, np.empty(ROWS), of_row
        )


if __name__ == "__main__":
    warm()
