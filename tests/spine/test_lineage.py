"""Lineage and catalogue of the shipped products after the first `mesh run`."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.instance import instance
from mesh.catalogue import Catalogue, Entry, gather
from mesh.lineage import ColumnSource
from tests.mesh.lineage.openlineage_schema import wrong_with
from tests.spine.conftest import Spine


@pytest.fixture(scope="module")
def catalogue(spine: Spine) -> Catalogue:
    return gather(spine.mesh)


def _columns(entry: Entry) -> dict[str, tuple[ColumnSource, ...]]:
    (columns,) = entry.lineage.values()
    return {column.column: column.sources for column in columns}


def test_every_published_column_is_traced_to_its_sources(catalogue: Catalogue) -> None:
    """To raw tables of its own domain, the loads of ingest, and views of its recorded inputs, and to nothing else."""
    for key, entry in catalogue.entries.items():
        assert entry.served is not None
        views = {
            view
            for upstream in entry.product.inputs
            for view in (catalogue.entries[upstream].served or entry.served).views
        }
        raw = (*entry.product.raw_tables, "current_loads")
        allowed = views | {f"{entry.product.build_schema}.{table}" for table in raw}
        for table, columns in zip(entry.contract.tables, entry.lineage.values(), strict=True):
            assert [column.column for column in columns] == [column.name for column in table.columns]
            assert {column.untraced for column in columns} == {""}, key
            assert {source.table for column in columns for source in column.sources} <= allowed, key


def test_values_are_followed_through_staging_and_intermediate_models(catalogue: Catalogue) -> None:
    claims, raw = _columns(catalogue.entries["claims/claims"]), "claims_build.raw_claims"
    assert claims["nino_token"] == (ColumnSource(raw, "nino_token"),)
    assert claims["amount"] == (ColumnSource(raw, "amount", "transformation"),)
    assert {source.column for source in claims["account_name_match"]} == {
        "account_name", "claimant_name", "employer_name", "scheme"
    }  # fmt: skip
    assert not [name for name, sources in claims.items() if not sources], "every column of a claim was delivered"


def test_scores_come_from_every_feature_that_the_model_uses(catalogue: Catalogue) -> None:
    scores = _columns(catalogue.entries["insight/claim_scores"])
    features = "insight.claim_features_v1"
    assert scores["claim_id"] == (ColumnSource(features, "claim_id"),)
    assert scores["model_version"] == (), "a fact of the run, from no column"
    used = {source.column for source in scores["score"]}
    assert used == {source.column for source in scores["reason_1"]}
    assert 5 < len(used) < len(_columns(catalogue.entries["insight/claim_features"]))
    assert not used & {"claim_id", "submitted_at"}


def test_what_challengers_say_comes_from_features_and_what_the_champion_said_from_its_scores(
    catalogue: Catalogue,
) -> None:
    columns = _columns(catalogue.entries["insight/challenger_scores"])
    assert columns["claim_id"] == (ColumnSource("insight.claim_features_v1", "claim_id"),)
    assert columns["champion_probability"] == (ColumnSource("insight.claim_scores_v1", "probability"),)
    assert columns["probability"] == (), "nothing challenges the first champion"


def test_figures_come_from_what_they_are_worked_out_of_and_never_from_more(catalogue: Catalogue) -> None:
    """A reader of the lineage learns that fairness reads protected columns, and that monitoring does not."""
    groups, outcomes = "insight.claim_groups_v1", "claims.outcomes_v1"
    features, scores = "insight.claim_features_v1", "insight.claim_scores_v1"
    protected = {(groups, name) for name in ("age_band", "disability", "marital_status", "nationality", "sex")}
    fairness = {name: _named(sources) for name, sources in _columns(catalogue.entries["insight/fairness"]).items()}
    compared = protected | {
        (scores, "flagged"), (features, "submitted_at"), (outcomes, "finding"), (outcomes, "decided_at"),
        (outcomes, "selected_by"),
    }  # fmt: skip
    assert fairness == {
        "model_name": set(), "model_version": {(scores, "model_version")}, "attribute": set(), "figure": set(),
        "group_name": protected, "group_rows": protected, "group_share": protected,
        **dict.fromkeys(("sample_rows", "value", "low", "high", "rest_value", "ratio_to_rest", "p_value"), compared),
        **dict.fromkeys(("p_adjusted", "verdict"), compared),
    }  # fmt: skip
    watched = {n: _named(found) for n, found in _columns(catalogue.entries["insight/claim_monitoring"]).items()}
    used = _named(_columns(catalogue.entries["insight/claim_scores"])["score"])
    judged = used | {(outcomes, "finding")}
    assert watched == {
        "model_name": set(), "model_version": set(), "measure": set(), "subject": set(),
        "period": {(features, "submitted_at")}, "stage": {(features, "submitted_at")},
        "value": judged | {(features, "submitted_at"), (outcomes, "decided_at")},
        **dict.fromkeys(("low", "high", "rows", "watch", "breach", "status"), judged),
    }  # fmt: skip


@pytest.mark.parametrize("key", ["claims/outcomes", "insight/fairness"])
def test_dagster_shows_the_same_lineage(spine: Spine, catalogue: Catalogue, key: str) -> None:
    served = catalogue.entries[key].served
    assert served is not None
    (view,) = served.views
    event = instance(spine.mesh).get_latest_materialization_event(dg.AssetKey(view.split(".")))
    assert event is not None
    assert event.asset_materialization is not None
    (shown,) = (
        found
        for found in event.asset_materialization.metadata.values()
        if isinstance(found, dg.TableColumnLineageMetadataValue)
    )
    assert {
        column: {(*dep.asset_key.path, dep.column_name) for dep in deps}
        for column, deps in shown.value.deps_by_column.items()
    } == {
        column: {(*source.table.replace("_build.", ".").split("."), source.column) for source in sources}
        for column, sources in _columns(catalogue.entries[key]).items()
    }


def _named(sources: tuple[ColumnSource, ...]) -> set[tuple[str, str]]:
    return {(source.table, source.column) for source in sources}


def test_sample_queries_of_every_product_run(spine: Spine, catalogue: Catalogue) -> None:
    connection = spine.mesh.reader()
    try:
        for entry in catalogue.entries.values():
            assert {query.title for query in entry.queries} >= {"A few rows"}
            for query in entry.queries:
                found = connection.execute(query.sql).fetchall()
                empty = entry.product.key == "insight/challenger_scores"  # nothing challenges the first champion
                assert bool(found) != empty, f"{entry.product.key}: {query.title}"
    finally:
        connection.close()


def test_the_commands_show_lineage_and_write_the_catalogue(spine: Spine, tmp_path: Path) -> None:
    shown = spine.fork("lineage", "insight/claim_scores")
    assert "insight/claim_features@1, claims/outcomes@1" in shown.out
    columns = spine.fork("lineage", "claims/outcomes", "--columns").out
    assert "claims_build.raw_outcomes.finding (transformation)" in columns
    facts = json.loads(spine.fork("lineage", "claims/outcomes", "--format", "json").out)
    assert (facts["release"], facts["raw_tables"]) == (1, ["claims_build.raw_outcomes"])
    events = tmp_path / "events.ndjson"
    assert "Wrote 44 events" in spine.fork("lineage", "--format", "openlineage", "--out", str(events)).out
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert (len(told), [wrong for event in told for wrong in wrong_with(event)]) == (44, [])
    outputs = [output for event in told for output in event.get("outputs", ())]
    assert len(outputs) == 11
    for output in outputs:
        columns = [column["name"] for column in output["facets"]["schema"]["fields"]]
        assert sorted(output["facets"]["columnLineage"]["fields"]) == sorted(columns), output["name"]
    assert "13 pages, 13 written" in spine.fork("catalogue", "--out", str(tmp_path / "site")).out
    refused = spine.fork("lineage")
    assert (refused.status, "Name a product" in refused.err) == (2, True)


def test_dagster_links_every_published_product_to_its_page(spine: Spine) -> None:
    from dagster_project.publishing import published_assets

    product = spine.mesh.project.product("claims/claims")
    (metadata,) = published_assets(product).metadata_by_key.values()
    link = metadata["catalogue"]
    assert isinstance(link, dg.UrlMetadataValue)
    assert link.url == f"{spine.mesh.settings.pages_address}/catalogue/claims/claims.html"
