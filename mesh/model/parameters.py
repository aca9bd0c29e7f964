"""Parameters of the algorithms: what a definition may set, what the mesh sets for it, and what it never leaves open.

The defaults favour small, noisy label sets (hundreds of positives): shallow trees, few leaves, strong penalties on
leaf values and on categories seen seldom; where nothing is set, richer trees are tried beside them. Depth and trees
are also bounded because the time of exact TreeSHAP reasons grows with both. Imbalance is left to the calibration:
reweighting the rare class would only distort the probabilities, the ranking gains nothing. `scale_pos_weight` stays
available.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mesh.errors import ModelError
from mesh.model.compiled import MAX_LEAVES
from mesh.model.definition import LIGHTGBM, LOGISTIC

PARAMETERS: Mapping[str, type[bool] | type[int] | type[float]] = {
    "num_iterations": int,
    "early_stopping_round": int,
    "learning_rate": float,
    "num_leaves": int,
    "max_depth": int,
    "min_data_in_leaf": int,
    "min_sum_hessian_in_leaf": float,
    "min_gain_to_split": float,
    "lambda_l1": float,
    "lambda_l2": float,
    "path_smooth": float,
    "feature_fraction": float,
    "feature_fraction_bynode": float,
    "bagging_fraction": float,
    "bagging_freq": int,
    "extra_trees": bool,
    "max_bin": int,
    "max_cat_to_onehot": int,
    "max_cat_threshold": int,
    "min_data_per_group": int,
    "cat_smooth": float,
    "cat_l2": float,
    "scale_pos_weight": float,
}
"""Names a definition may set and their types; LightGBM itself ignores an unknown name in silence."""

LOGISTIC_PARAMETERS: Mapping[str, type[bool] | type[int] | type[float]] = {"C": float}
"""`C` is the inverse of the penalty, as in scikit-learn; left out, the validation rows choose it."""

ALL_PARAMETERS = {LIGHTGBM: PARAMETERS, LOGISTIC: LOGISTIC_PARAMETERS}

DEFAULT_SPACE: Mapping[str, tuple[tuple[str, float, float], ...]] = {
    LIGHTGBM: (
        ("learning_rate", 0.02, 0.15),
        ("num_leaves", 4.0, 31.0),
        ("max_depth", 3.0, 8.0),
        ("min_data_in_leaf", 10.0, 100.0),
        ("lambda_l2", 0.1, 50.0),
        ("feature_fraction", 0.3, 1.0),
    ),
    LOGISTIC: (("C", 0.0003, 30.0),),
}
"""Where a search looks that names no space of its own."""

DEFAULTS: Mapping[str, float | int | bool] = {
    "num_iterations": 200,
    "early_stopping_round": 40,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "max_depth": 5,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_cat_to_onehot": 8,
    "min_data_per_group": 50,
    "cat_smooth": 20.0,
    "cat_l2": 20.0,
}

RICHER: Sequence[Mapping[str, float | int | bool]] = (
    {
        "num_iterations": 400,
        "learning_rate": 0.06,
        "num_leaves": 31,
        "max_depth": 6,
        "min_data_in_leaf": 20,
        "lambda_l2": 3.0,
        "feature_fraction": 0.8,
    },
    {
        "num_iterations": 200,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "max_depth": 8,
        "min_data_in_leaf": 20,
        "lambda_l2": 1.0,
        "feature_fraction": 1.0,
        "bagging_fraction": 1.0,
    },
)
"""Tried beside the defaults where the definition names no parameters: for signals that interact, and for a few columns
that tell among many that do not."""


def lightgbm_parameters(given: Mapping[str, float | int | bool], *, seed: int, threads: int) -> dict[str, object]:
    """All parameters of one training: defaults, then the definition's, then what makes it repeatable.

    `force_col_wise` gives every histogram to one thread, so that sums have one order whatever the thread count.

    Raises:
        ModelError: depth or number of trees is beyond what reasons can be computed for.
    """
    merged: dict[str, object] = {**DEFAULTS, **given}
    for name, least, most in (("max_depth", 1, 8), ("num_leaves", 2, MAX_LEAVES), ("num_iterations", 1, 1000)):
        value = merged[name]
        assert isinstance(value, int)
        if not least <= value <= most:
            raise ModelError(f"parameters.{name} does not fit. Allowed: {least} to {most}; reasons need bounded trees.")
    fixed = {
        "objective": "binary",
        "metric": "binary_logloss",
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    return {**merged, **fixed}
