from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from mesh.errors import ProjectError
from mesh.model import ChosenBy, Costs, Groups, Label, ModelDefinition, Search, Split, load_definition
from mesh.model.gates import STAND_IN
from mesh.model.reading import FIELDS

TEXT = """\
model: claim_fraud
description: Which claims to review.
input: insight/claim_features
key: claim_id
label:
  product: claims/outcomes
  key: claim_ref
  column: finding
  positive: [fraud, error]
  known_at: decided_at
time: submitted_at
split: {test_share: 0.25}
exclude:
  note: free text
protected: [sex, age]
categorical: [grade]
capacity: 0.22
algorithm: lightgbm
parameters:
  num_leaves: 7
  learning_rate: 1
output: insight/claim_scores
reasons: {amount: The amount is high}
seed: 7
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "model.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_definition_is_read_whole(tmp_path: Path) -> None:
    assert load_definition(write(tmp_path, TEXT)) == ModelDefinition(
        model="claim_fraud",
        description="Which claims to review.",
        input="insight/claim_features",
        key="claim_id",
        label=Label("finding", ("fraud", "error"), "claim_ref", "claims/outcomes", "decided_at"),
        time="submitted_at",
        split=Split(test_share=0.25),
        capacity=0.22,
        output="insight/claim_scores",
        algorithm="lightgbm",
        seed=7,
        exclude={"note": "free text"},
        protected=("sex", "age"),
        categorical=("grade",),
        parameters={"num_leaves": 7, "learning_rate": 1.0},
        reasons={"amount": "The amount is high"},
    )


TRAINED = TEXT.replace(
    "  known_at: decided_at\n",
    """\
  known_at: decided_at
  chosen_by: {column: selected_by, random: [random, drawn]}
""",
).replace(
    "capacity: 0.22\n",
    """\
as_of: 2020-06-30
costs: {review: 35, value: amount}
value: amount
search:
  trials: 12
  objective: average_precision
  space:
    min_data_in_leaf: [10, 80]
    lambda_l2: [0.1, 50]
""",
)


def test_how_to_train_is_read_whole(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, TRAINED))
    assert found.label.chosen_by == ChosenBy("selected_by", ("random", "drawn"))
    assert found.search == Search(12, (("min_data_in_leaf", 10.0, 80.0), ("lambda_l2", 0.1, 50.0)), "average_precision")
    assert (found.costs, found.value, found.capacity) == (Costs(35.0, "amount"), "amount", 1.0)
    assert (found.as_of, found.moment) == ("2020-06-30", datetime(2020, 6, 30, 23, 59, 59, 999999))
    plain = load_definition(write(tmp_path, TEXT))
    assert (plain.search, plain.costs, plain.value, plain.as_of, plain.moment) == (None, None, None, None, None)


def test_the_page_on_models_shows_a_definition_that_loads_and_names_every_key(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    found = load_definition(write(tmp_path, example))
    assert (found.model, found.costs, found.as_of) == ("claim_fraud", Costs(35.0, "amount"), "2021-03-31")
    told = {
        name for line in page.splitlines() if line.startswith("| `") for name in re.findall("`([a-z_]+)`", line[:60])
    }
    assert set(FIELDS) - told == set()
    keys = {line.split(":")[0] for line in example.splitlines() if line[:1].isalpha()}
    assert set(FIELDS) - keys == {"parameters", "value"}


def test_a_logistic_definition_has_parameters_and_a_search_of_its_own(tmp_path: Path) -> None:
    parameters = "parameters:\n  num_leaves: 7\n  learning_rate: 1\n"
    text = TEXT.replace("algorithm: lightgbm", "algorithm: logistic")
    with pytest.raises(ProjectError, match=r"parameters.num_leaves: is no field here. Allowed: C"):
        load_definition(write(tmp_path, text))
    found = load_definition(write(tmp_path, text.replace(parameters, "parameters: {C: 0.1}\n")))
    assert (found.algorithm, dict(found.parameters)) == ("logistic", {"C": 0.1})
    found = load_definition(write(tmp_path, text.replace(parameters, "search: {trials: 3}\n")))
    assert found.search == Search(3, (("C", 0.0003, 30.0),), "loss")


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("random: [random, drawn]", "randoms: [random]", 11, "label.chosen_by.randoms", "did you mean random?"),
        ("random: [random, drawn]", "random: [a], random_among: most", 11, "label.chosen_by.random_among", "rest, all"),
        ("random: [random, drawn]", "random: []", 11, "label.chosen_by.random", "list of values"),
        ("column: selected_by, ", "", 11, "label.chosen_by.column", "is missing"),
        ("as_of: 2020-06-30", "as_of: June", 18, "as_of", "no ISO date"),
        ("  known_at: decided_at\n", "", 17, "as_of", "label.known_at"),
        ("review: 35", "review: 0", 19, "costs.review", "a number above 0"),
        ("review: 35", "reviews: 35", 19, "costs.reviews", "did you mean review?"),
        ("value: amount}", "value: 2 x}", 19, "costs.value", "no column name"),
        ("\nvalue: amount", "\nvalue: paid", 20, "value", "another column than costs.value Allowed: amount"),
        ("trials: 12", "trials: 0", 22, "search.trials", "from 1 to 500"),
        ("trials: 12", "trial: 12", 22, "search.trial", "did you mean trials?"),
        ("average_precision", "precision", 23, "search.objective", "loss, average_precision"),
        ("min_data_in_leaf: [10", "min_data_in_leafs: [10", 25, "search.space.min_data_in_leafs", "did you mean"),
        ("[10, 80]", "[80, 10]", 25, "search.space.min_data_in_leaf", "least first"),
        ("[10, 80]", "[1.5, 80]", 25, "search.space.min_data_in_leaf", "a whole number"),
        ("[10, 80]", "10", 25, "search.space.min_data_in_leaf", "is no range"),
        ("min_data_in_leaf: [10, 80]", "num_leaves: [3, 80]", 25, "search.space.num_leaves", "one of the two"),
        ("costs:", "capacity: 0\ncosts:", 19, "capacity", "above 0 and below 1"),
    ],
)
def test_a_wrong_word_on_training_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, field: str, words: str
) -> None:
    assert old in TRAINED
    with pytest.raises(ProjectError) as caught:
        load_definition(write(tmp_path, TRAINED.replace(old, new)))
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value)


GROUPS = (
    TEXT
    + """\
groups:
  product: insight/claim_groups
  key: claim
  columns: [sex, age_band]
  least_rows: 30
outputs:
  fairness: insight/fairness
"""
)


def test_groups_come_from_a_product_that_training_reads_and_are_never_features(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, GROUPS))
    assert found.groups == Groups("insight/claim_groups", "claim", ("sex", "age_band"), 30)
    assert found.products == ("insight/claim_features", "claims/outcomes", "insight/claim_groups")
    assert {"sex", "age_band"} <= found.reserved
    short = GROUPS.replace("  key: claim\n", "").replace("  least_rows: 30\n", "")
    assert load_definition(write(tmp_path, short)).groups == Groups(
        "insight/claim_groups", "claim_id", ("sex", "age_band")
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("  least_rows: 30", "  least_rows: 9", 29, "groups.least_rows", "a whole number from 10"),
        ("  least_rows: 30", "  least: 30", 29, "groups.least", "did you mean least_rows?"),
        ("[sex, age_band]", "[]", 28, "groups.columns", "names no column"),
        ("[sex, age_band]", "[sex, sex]", 28, "groups.columns", "twice"),
        ("  product: insight/claim_groups\n", "", 26, "groups.product", "is missing"),
        ("groups:\n  product: insight/claim_groups\n  key: claim\n  columns: [sex, age_band]\n  least_rows: 30\n", "",
         26, "outputs.fairness", "needs groups"),
    ],
)  # fmt: skip
def test_groups_that_do_not_fit_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, field: str, words: str
) -> None:
    assert old in GROUPS
    with pytest.raises(ProjectError) as caught:
        load_definition(write(tmp_path, GROUPS.replace(old, new)))
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value)


def test_bounds_of_a_split_may_be_years_or_days(tmp_path: Path) -> None:
    years = TEXT.replace("{test_share: 0.25}", "{train: {to: 1994}, test: {from: 1995}}")
    days = TEXT.replace("{test_share: 0.25}", "{train: {to: 2020-05-31}, test: {from: 2020-06-01}}")
    assert load_definition(write(tmp_path, years)).split == Split(train_to=1994, test_from=1995)
    assert load_definition(write(tmp_path, days)).split == Split(train_to="2020-05-31", test_from="2020-06-01")


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("capacity: 0.22", "capasity: 0.22", 17, "capasity", "did you mean capacity?"),
        ("  known_at: decided_at", "  know_at: decided_at", 10, "label.know_at", "did you mean known_at?"),
        ("  num_leaves: 7", "  num_leafs: 7", 20, "parameters.num_leafs", "did you mean num_leaves?"),
        ("  num_leaves: 7", "  num_leaves: 7.5", 20, "parameters.num_leaves", "a whole number"),
        ("capacity: 0.22", "capacity: 22", 17, "capacity", "above 0 and below 1"),
        ("{test_share: 0.25}", "{train: {to: 3}, test: {from: 3}}", 12, "split.test.from", "not later"),
        ("{test_share: 0.25}", "{train: {to: 3}, test: {from: x}}", 12, "split.test.from", "ISO date"),
        ("{test_share: 0.25}", "{test_share: 0.25, test: {from: 3}}", 12, "split.test_share", "beside bounds"),
        ("algorithm: lightgbm", "algorithm: forest", 18, "algorithm", "lightgbm"),
        ("input: insight/claim_features", "input: claim_features", 3, "input", "domain/product"),
        ("[fraud, error]", "[]", 9, "label.positive", "list of label values"),
        ("protected: [sex, age]", "protected: [sex, sex]", 15, "protected", "twice"),
        ("  note: free text", "  note:", 14, "exclude.note", "is missing"),
        ("time: submitted_at\n", "", 1, "time", "is missing"),
        ("seed: 7", "seed: -1", 24, "seed", "whole number"),
    ],
)
def test_a_wrong_field_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, field: str, words: str
) -> None:
    assert old in TEXT
    with pytest.raises(ProjectError) as caught:
        load_definition(write(tmp_path, TEXT.replace(old, new)))
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'model.yaml'}:{line}: {field}: ")


GATES = """\
gates:
  not_worse: [auc]
  most: {ece: 0.02}
  least:
    recall_at_capacity: 0.5
  groups: {flag_rate_ratio: [0.8, 1.25], recall_gap: 0.05}
"""


def test_gates_that_are_named_bind_and_stand_ins_fill_what_is_not(tmp_path: Path) -> None:
    found = load_definition(write(tmp_path, TEXT + GATES)).gates
    assert [(gate.name, gate.low, gate.high, gate.named) for gate in found] == [
        ("not_worse.auc", None, None, True),
        ("most.ece", None, 0.02, True),
        ("most.megabytes", None, 64.0, False),
        ("most.row_microseconds", None, 50_000.0, False),
        ("least.recall_at_capacity", 0.5, None, True),
        ("groups.flag_rate_ratio", 0.8, 1.25, True),
        ("groups.recall_gap", None, 0.05, True),
        ("groups.false_positive_gap", None, 0.1, False),
    ]
    assert load_definition(write(tmp_path, TEXT)).gates == STAND_IN


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("  not_worse: [auc]", "  not_worse: [aux]", 26, "gates.not_worse", "average_precision"),
        ("  not_worse: [auc]", "  not_worse: []", 26, "gates.not_worse", "is not a list of figures"),
        ("  not_worse: [auc]", "  not_worse: [auc, auc]", 26, "gates.not_worse", "twice"),
        ("  not_worse: [auc]", "  not_wors: [auc]", 26, "gates.not_wors", "did you mean not_worse?"),
        ("{ece: 0.02}", "{ece: -0.02}", 27, "gates.most.ece", "a number from 0"),
        ("{ece: 0.02}", "{auc: 0.02}", 27, "gates.most.auc", "row_microseconds"),
        ("    recall_at_capacity: 0.5", "    recall_at_capacity: much", 29, "gates.least.recall_at_capacity", "number"),
        ("[0.8, 1.25]", "[1.1, 1.25]", 30, "gates.groups.flag_rate_ratio", "does not hold 1"),
        ("[0.8, 1.25]", "0.8", 30, "gates.groups.flag_rate_ratio", "two numbers"),
        ("recall_gap", "recall_gab", 30, "gates.groups.recall_gab", "did you mean recall_gap?"),
    ],
)
def test_a_wrong_gate_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, field: str, words: str
) -> None:
    assert old in GATES
    with pytest.raises(ProjectError) as caught:
        load_definition(write(tmp_path, TEXT + GATES.replace(old, new)))
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "model: a\nmodel: b\n", "", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProjectError):
        load_definition(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        load_definition(tmp_path / "none.yaml")


def test_the_digest_follows_the_meaning_and_not_the_layout(tmp_path: Path) -> None:
    first = load_definition(write(tmp_path, TEXT)).digest
    assert load_definition(write(tmp_path, "# a comment\n" + TEXT)).digest == first
    assert load_definition(write(tmp_path, TEXT.replace("seed: 7", "seed: 8"))).digest != first
    assert load_definition(write(tmp_path, TEXT.replace("[fraud, error]", "[fraud]"))).digest != first


@pytest.mark.parametrize(
    ("old", "new"),
    [("2020-06-30", "2020-07-01"), ("35", "36"), ("[0.1, 50]", "[0.1, 51]"), ("trials: 12", "trials: 13"),
     ("[random, drawn]", "[random]"), ("average_precision", "loss")],
)  # fmt: skip
def test_the_digest_follows_how_to_train(tmp_path: Path, old: str, new: str) -> None:
    first = load_definition(write(tmp_path, TRAINED)).digest
    assert load_definition(write(tmp_path, TRAINED.replace(old, new))).digest != first
