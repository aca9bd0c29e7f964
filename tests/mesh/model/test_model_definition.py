from __future__ import annotations

from pathlib import Path

import pytest

from mesh.errors import ProjectError
from mesh.model import Groups, Label, ModelDefinition, Split, load_definition

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
