"""Transparency records: what follows by itself, what people wrote, and what is missing; and fairness as a product."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ProjectError
from mesh.model import Registry, prepare_tracking
from mesh.model.atrs import QUESTIONS, TIER_1, Answer, Record, questions, record_schema
from mesh.model.words import load_words, words_path
from tests.conftest import ROOT
from tests.model_desk import MODEL, Desk, cases, contract_text, desk

ROWS = 4000
GROUPS = [
    ("case_id", "VARCHAR", "internal, primaryKey: true"),
    ("sex", "VARCHAR", "restricted"),
    ("region", "VARCHAR", "restricted"),
]
FAIRNESS = [
    ("model_version", "VARCHAR", "internal, primaryKey: true"),
    ("attribute", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 2"),
    ("group_name", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 3"),
    ("figure", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 4"),
    ("group_rows", "BIGINT", "internal"),
    ("sample_rows", "BIGINT", "internal"),
    ("value", "DOUBLE", "internal"),
    ("rest_value", "DOUBLE", "internal"),
    ("p_adjusted", "DOUBLE", "internal"),
    ("verdict", "VARCHAR", "internal"),
]
PORTS = """\
  - name: fairness
    version: 1.0.0
    contractId: desk-fairness
    inputContracts:
      - {id: desk-scores, version: 1.0.0}
      - {id: cases-features, version: 1.0.0}
      - {id: cases-findings, version: 1.0.0}
      - {id: cases-groups, version: 1.0.0}
"""
WORDS = """\
tier_1:
  website: https://desk.example/risk
decision_process:
  appeals: Ask the desk; another person looks at the case.
"""


@dataclass(frozen=True)
class Fair:
    """A desk whose model was trained while one sex had the higher amounts; `seed` drew all of it."""

    desk: Desk
    seed: int


@pytest.fixture(scope="module")
def fair(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Fair:
    seed = secrets.randbits(32)
    rng = np.random.default_rng(seed)
    features, findings = cases(ROWS, seed=seed)
    findings = findings.append_column("chosen", pa.array(rng.choice(["risk", "random"], len(findings), p=(0.7, 0.3))))
    keys = features.column("case_id").to_pylist()
    # Nothing but this ties the score to a group: high amounts, which the model learns, are nearly all women's.
    female = rng.random(ROWS) < np.where(features.column("amount").to_numpy() > 250, 0.9, 0.3)
    sex = np.where(rng.random(ROWS) < 0.01, None, np.where(female, "female", "male"))  # type: ignore[arg-type]
    groups = pa.table({"case_id": keys[:-500], "sex": sex[:-500], "region": rng.choice(["n", "s"], ROWS - 500)})
    more = {
        "contracts/cases/groups.yaml": contract_text("cases/groups", GROUPS),
        "contracts/cases/findings.yaml": "      - {name: chosen, logicalType: string, physicalType: VARCHAR, "
        "classification: internal}\n",
        "contracts/desk/fairness.yaml": contract_text("desk/fairness", FAIRNESS),
        "data_products/cases/domain.yaml": "  - {name: groups, version: 1.0.0, contractId: cases-groups}\n",
        "data_products/desk/records/risk.yaml": WORDS,
    }
    model = MODEL.replace("decided_at}", "decided_at, chosen_by: {column: chosen, random: [random]}}") + (
        "groups: {product: cases/groups, columns: [sex, region], least_rows: 40}\noutputs: {fairness: desk/fairness}\n"
    )
    made = desk(tmp_path_factory.mktemp("fair"), postgres_host, model=model, more=more)
    ports = made.spine.project / "data_products/desk/domain.yaml"
    text = ports.read_text().replace(
        "outputPorts:", "  - {name: groups, version: 1.0.0, contractId: cases-groups}\noutputPorts:"
    )
    read = "inputContracts: [{id: cases-features, version: 1.0.0}, {id: cases-findings, version: 1.0.0}"
    ports.write_text(text.replace(read, f"{read}, {{id: cases-groups, version: 1.0.0}}") + PORTS)
    for key, table in {"cases/features": features, "cases/findings": findings, "cases/groups": groups}.items():
        made.publish(key, table)
    done = made.run()
    assert {status for status, _, _ in done.values()} == {"released"}, done
    return Fair(made, seed)


def test_a_planted_disparity_is_published_with_its_significance(fair: Fair) -> None:
    rows = fair.desk.mesh.reader().sql("from desk.fairness_v1").to_arrow_table().to_pylist()
    told = {(row["attribute"], row["group_name"], row["figure"]): row for row in rows}
    women, men = told["sex", "female", "flag_rate"], told["sex", "male", "flag_rate"]
    assert (women["verdict"], men["verdict"]) == ("higher", "lower"), fair.seed
    assert women["p_adjusted"] < 0.05
    assert (women["value"], women["rest_value"]) == (men["rest_value"], men["value"])
    # Nobody knows the groups of the last 500; a few more people have no sex on record.
    assert told["region", "not known", "flag_rate"]["group_rows"] == 500
    assert told["region", "n", "median_days"]["value"] == 3.0
    assert {row["model_version"] for row in rows} == {"1"}


def test_what_needs_a_truth_is_told_of_rows_the_model_did_not_learn_from(fair: Fair) -> None:
    """On the others it knows the answers."""
    reader = fair.desk.mesh.reader()
    standing = Registry.opened(fair.desk.mesh).standing("desk.risk")
    _, learned_to = standing.registration(1).evidence["learned_to"]
    [(later,)] = reader.execute(
        """select count(*) from desk.scores_v1 s join cases.findings_v1 f on f."case" = s.case_id
        where s.at > cast(? as timestamp) and finding <> 'bad'""",
        [learned_to],
    ).fetchall()
    samples = reader.execute(
        "select sum(sample_rows) from desk.fairness_v1 where attribute = 'region' and figure = 'false_positive_rate'"
    ).fetchone()
    assert samples is not None
    assert abs(samples[0] - later) <= 7.5, "three groups, each to the nearest 5"


def test_a_case_drawn_at_random_counts_for_those_that_nothing_else_chose(fair: Fair) -> None:
    """As a share of all cases, not of those that somebody had reasons to look at."""
    reader = fair.desk.mesh.reader()
    _, learned_to = Registry.opened(fair.desk.mesh).standing("desk.risk").registration(1).evidence["learned_to"]
    [(expected, told)] = reader.execute(
        """with later as (
            select s.flagged, f.finding, f.chosen, g.sex from desk.scores_v1 s
            left join cases.findings_v1 f on f."case" = s.case_id left join cases.groups_v1 g on g.case_id = s.case_id
            where s.at > cast(? as timestamp)),
        weighed as (select *, case chosen when 'random' then
            (select (count(*) - count(*) filter (chosen = 'risk')) / count(*) filter (chosen = 'random') from later)
            else 1 end as weight from later)
        select sum(weight) filter (flagged) / sum(weight), (select value from desk.fairness_v1
            where group_name = 'male' and figure = 'false_positive_rate')
        from weighed where sex = 'male' and finding = 'fine'""",
        [learned_to],
    ).fetchall()
    assert told == pytest.approx(expected, abs=1e-4)


def test_a_run_keeps_card_record_fairness_and_pictures(fair: Fair, tmp_path: Path) -> None:
    mesh = fair.desk.mesh
    client = prepare_tracking(mesh.postgres.url(mesh.postgres.mlflow_database))
    run = client.get_run(client.get_model_version("desk.risk", "1").run_id)

    def listed(folder: str) -> set[str]:
        return {Path(item.path).name for item in client.list_artifacts(run.info.run_id, folder)}

    assert listed("plots") == {f"{name}.png" for name in (
        "precision_recall", "roc", "calibration", "gain", "importance", "shap", "drift")}  # fmt: skip
    assert listed("fairness") == {"fairness.json", "fairness.md"}
    assert listed("record") == {"record.json", "record.md"}
    uses = {given.dataset.name: given.tags[0].value for given in run.inputs.dataset_inputs}
    assert uses == {"cases/features": "features", "cases/findings": "label", "cases/groups": "groups"}
    assert run.data.metrics["fairness_sex_flag_rate"] < 1
    card = Path(client.download_artifacts(run.info.run_id, "card/model_card.md", str(tmp_path))).read_text()
    assert "| cases/groups | 1 | 1.0.0 |" in card
    assert "| sex | female | flag rate |" in card
    assert f"| auc | {run.data.metrics['test_auc']:.3f} |" in card


def test_a_record_tells_what_is_known_from_where_and_lists_what_is_not(fair: Fair) -> None:
    found = json.loads(fair.desk.say("model", "record", "desk/risk", "--json"))
    jsonschema_rs.validator_for(record_schema()).validate(found)
    assert found[TIER_1]["website"] == {
        "title": "Website", "derived": [], "source": None, "written": "https://desk.example/risk",
    }  # fmt: skip
    assert found[TIER_1]["description"]["derived"] == ["Which cases to look at first."]
    assert found["tier_2"]["decision_process"]["integration"] == {
        "title": "Process integration", "derived": ["A score orders work; a person decides."],
        "source": "contract desk/scores 1.0.0", "written": None,
    }  # fmt: skip
    assert found["to_be_written"] == [
        "owner.organisation", "owner.senior_responsible_owner", "owner.supplier", "rationale.scope",
        "rationale.benefit", "rationale.previous_process", "rationale.alternatives",
        "decision_process.human_decisions_and_review", "decision_process.training", "tool.architecture", "tool.phase",
        "tool.maintenance", "data.collection", "data.sharing_agreements", "risks.risks", "risks.mitigations",
        "risks.impact_assessments",
    ]  # fmt: skip
    facts = found["facts"]
    findings = facts["releases"][1]["rows"]
    assert [(one["product"], one["release"], one["rows"]) for one in facts["releases"]] == [
        ("cases/features", 1, ROWS), ("cases/findings", 1, findings), ("cases/groups", 1, ROWS - 500),
    ]  # fmt: skip
    test = facts["metrics"]["auc"]
    assert test["low"] < test["value"] < test["high"]
    assert (
        f"auc {test['value']:.3f} (95 %: {test['low']:.3f} to {test['high']:.3f})"
        in (found["tier_2"]["performance"]["figures"]["derived"])
    )


def test_the_printed_record_begins_with_what_is_missing_and_words_count_at_once(fair: Fair) -> None:
    """Words change without a training."""
    before = fair.desk.say("model", "record", "desk/risk")
    assert before.splitlines()[2] == "To be written by people (17):"
    assert "- Owner and responsibility: External supplier involvement (`owner.supplier`)" in before
    path = fair.desk.spine.project / "data_products/desk/records/risk.yaml"
    path.write_text(WORDS + "owner: {supplier: None.}\n")
    after = fair.desk.say("model", "record", "desk/risk", "--version", "1")
    assert after.splitlines()[2] == "To be written by people (16):"
    assert "### External supplier involvement\n\nNone.\n" in after
    path.write_text(WORDS)
    assert "no version 7" in fair.desk.say("model", "record", "desk/risk", "--version", "7", status=1)


def test_schema_and_record_name_the_same_questions() -> None:
    schema = record_schema()
    jsonschema_rs.meta.validate(schema)
    whole = Record("a/b", {"releases": [], "metrics": {}, "fairness": []}, {
        (section, question): Answer(("x",), "y", "") for section, question, _ in questions()
    })  # fmt: skip
    assert whole.to_be_written == ()
    body = whole.to_json()
    validator = jsonschema_rs.validator_for(schema)
    validator.validate(body)
    assert Record.from_json(body) == whole

    def refused(change: dict[str, Any]) -> bool:
        return not validator.is_valid({**body, **change})

    assert refused({"format": 2})
    assert refused({"model": "b"})
    assert refused({"more": 1})
    assert refused({"to_be_written": ["owner.nobody"]})
    assert refused({"tier_2": {**body["tier_2"], "owner": {}}})
    unsourced = {**body[TIER_1], "name": {**body[TIER_1]["name"], "source": None}}
    assert refused({TIER_1: unsourced}), "what is derived says from what"


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("tier1: {}\n", 1, "tier1", "did you mean tier_1?"),
        ("owner:\n  team: Us.\n  boss: Me.\n", 3, "owner.boss", "is no field here"),
        ("owner:\n  team: [us]\n", 2, "owner.team", "is not text"),
        ("owner:\n  team: ''\n", 2, "owner.team", "is not text"),
        ("- owner\n", 1, None, "holds no words for a record"),
    ],
)
def test_words_that_answer_no_question_are_refused_with_their_line(
    tmp_path: Path, text: str, line: int, field: str | None, words: str
) -> None:
    path = tmp_path / "risk.yaml"
    path.write_text(text)
    with pytest.raises(ProjectError) as caught:
        load_words(path)
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value)


def test_every_file_of_words_is_for_a_model_and_leaves_to_people_what_only_they_know() -> None:
    for path in (ROOT / "data_products").glob("*/records/*.yaml"):
        assert (path.parents[1] / "models" / path.name).is_file(), path
    words = load_words(words_path(ROOT, "insight/claim_fraud"))
    assert {section for section, _ in words} <= set(QUESTIONS)
    invented = {("owner", "organisation"), ("owner", "senior_responsible_owner"), ("risks", "impact_assessments"),
                (TIER_1, "contact"), (TIER_1, "website")}  # fmt: skip
    assert not invented & set(words)


def test_no_words_is_no_error(tmp_path: Path) -> None:
    assert load_words(tmp_path / "none.yaml") == {}
