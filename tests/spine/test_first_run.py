"""What a newcomer finds after the first `mesh run`: in DuckDB, in Dagster, in MLflow."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.instance import instance
from mesh.release.history import read_whole
from tests.spine.conftest import CLAIMS, Spine

PRODUCTS = {
    "claims/claims",
    "claims/outcomes",
    "identity/persons",
    "insight/challenger_scores",
    "insight/claim_features",
    "insight/claim_groups",
    "insight/claim_monitoring",
    "insight/claim_scores",
    "insight/fairness",
    "interactions/contacts",
    "interactions/messages",
}


def test_every_product_is_released_with_what_it_was_made_from(spine: Spine) -> None:
    history = spine.mesh.history()
    assert set(history.served) == PRODUCTS
    scores = history.served["insight/claim_scores"]
    assert scores.rows == {"claim_scores": CLAIMS}
    assert [str(upstream) for upstream in scores.inputs] == [
        "insight/claim_features@1",
        "claims/outcomes@1",
        "insight/claim_groups@1",
    ]
    features = history.served["insight/claim_features"]
    assert {upstream.product for upstream in features.inputs} == {
        product for product in PRODUCTS if not product.startswith("insight/")
    }
    # An upstream release is older than the candidate that read it: one consistent moment.
    assert all(history.served[u.product].commit <= (features.inputs_snapshot or 0) for u in features.inputs)


def test_every_source_row_is_published_quarantined_filtered_or_rejected(spine: Spine) -> None:
    delivered = {
        product: sum(file["rows"] for file in json.loads((spine.landing / "manifest.json").read_text())["files"]
                     if file["path"].startswith(folders))
        for product, folders in {
            "claims/claims": ("claims/cjrs", "claims/seiss", "claims/ssp", "claims/uc_advance"),
            "claims/outcomes": ("claims/outcomes",),
            "identity/persons": ("identity/",),
            "interactions/contacts": ("interactions/contacts",),
            "interactions/messages": ("interactions/messages",),
        }.items()
    }  # fmt: skip
    served = spine.mesh.history().served
    for product, rows in delivered.items():
        counts = served[product].accounting
        assert counts["source"] == rows, product
        assert counts["difference"] == 0, product
        parts = sum(counts[name] for name in ("published", "quarantined", "filtered", "rejected"))
        assert parts == rows, product


def test_every_run_opens_in_dagster_with_its_materialisations_and_checks(spine: Spine) -> None:
    mesh = spine.mesh
    dagster = instance(mesh)
    for key, release in mesh.history().served.items():
        run = dagster.get_run_by_id(release.run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.SUCCESS, key
        events = [record.event_log_entry for record in dagster.get_records_for_run(release.run_id, limit=5000).records]
        asset = dg.AssetKey(release.views[0].split("."))
        shown = [event.asset_materialization for event in events if event.asset_materialization]
        mine = [found for found in shown if found.asset_key == asset]
        assert len(mine) == 1, key
        assert mine[0].metadata["dagster/row_count"].value == sum(release.rows.values())
        assert mine[0].metadata["release"].value == 1
        rules = Counter(
            event.dagster_event.asset_check_evaluation_data.asset_key.path[0]
            for event in events
            if event.dagster_event and event.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION"
        )
        assert rules[key.split("/")[0]] > 0, key


def test_a_second_run_finds_nothing_to_do(spine: Spine) -> None:
    before = spine.mesh.history().releases
    products = spine.run()
    assert {row["status"] for row in products.values()} == {"unchanged"}
    assert spine.mesh.history().releases == before


def test_the_model_is_in_mlflow_with_the_releases_it_learned_from(spine: Spine) -> None:
    from mesh.model.tracking import prepare_tracking

    mesh = spine.mesh
    client = prepare_tracking(mesh.postgres.url(mesh.postgres.mlflow_database))
    version = client.get_model_version_by_alias("insight.claim_fraud", "champion")
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert {given.dataset.name: given.dataset.digest for given in run.inputs.dataset_inputs} == {
        "insight/claim_features": "release-1",
        "claims/outcomes": "release-1",
        "insight/claim_groups": "release-1",
    }
    assert 0.5 < run.data.metrics["test_auc"] < 1
    scores = mesh.history().served["insight/claim_scores"]
    assert scores.details["model_version"] == str(version.version)


def test_scores_flag_what_the_capacity_allows(spine: Spine) -> None:
    reader = spine.mesh.reader()
    share, lowest, highest = reader.execute(
        "select avg(flagged::integer), min(score), max(score) from insight.claim_scores_v1"
    ).fetchone() or (0, 0, 0)
    assert share == pytest.approx(0.22, abs=0.01)
    assert (lowest, highest) == (0, 100)


def test_a_sealed_release_holds_its_contract_and_checksums(spine: Spine) -> None:
    mesh = spine.mesh
    whole = read_whole(mesh.postgres, mesh.history().served["claims/claims"])
    assert whole.contract_text == (spine.project / "contracts/claims/claims.yaml").read_text()
    assert all(Path(file.path).stat().st_size == file.bytes for file in whole.files)
    assert spine.command("verify", "claims/claims").returncode == 0


def test_the_command_line_shows_what_is_there(spine: Spine) -> None:
    listed = json.loads(spine.command("products", "--json").stdout)
    assert {row["product"]: row["release"] for row in listed} == dict.fromkeys(PRODUCTS, 1)
    shown = json.loads(spine.command("product", "insight/claim_scores", "--json").stdout)
    assert shown["upstream_releases"] == ["insight/claim_features@1", "claims/outcomes@1", "insight/claim_groups@1"]
    assert [row["release"] for row in shown["releases"]] == [1]
    rows = spine.command(
        "sql", "select count(*) as n from claims.claims_v1", "--at", "insight/claim_scores@1", "--format", "csv"
    )
    assert rows.stdout == f"n\n{CLAIMS}\n"


def test_sql_without_a_query_reads_statements_until_the_end(spine: Spine) -> None:
    """An error ends the statement, not the session; a statement may run over lines."""
    done = spine.command("sql", given="select 40 + 1 as n;\nselect nothing;\nselect 40 +\n 2 as n;\n")
    assert done.returncode == 0
    assert "41" in done.stdout
    assert "42" in done.stdout
    assert '"nothing" was not found' in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("product", "claims/nothing"), 1, "There is no product claims/nothing. Products of this mesh: claims/claims"),
        (("sql", "select 1", "--at", "claims"), 2, "DOMAIN/PRODUCT@NUMBER"),
        (("sql", "select nothing from claims.claims_v1"), 2, '"nothing" not found'),
        (("sql", "create table mine (i integer)"), 2, "read-only"),
        (("run", "--select", "nowhere"), 1, "There is no domain nowhere."),
        (("rollback", "claims/claims", "--to", "9", "--why", "test"), 1, "has no release 9: it has 1"),
        (("rollback", "claims/claims", "--to", "1", "--why", " "), 2, "needs a reason"),
        (("releases",), 2, "Missing argument"),
        (("add", "nowhere"), 2, "nowhere is not a folder"),
    ],
)
def test_errors_are_one_clear_paragraph(spine: Spine, words: tuple[str, ...], status: int, told: str) -> None:
    done = spine.command(*words)
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr
