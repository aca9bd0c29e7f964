"""A dbt project that holds what the shop does not: sources without rows, models that cannot come along, a package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mesh.contract import load_contracts
from mesh.ingest import load_sources
from mesh.project import load_project
from mesh.scaffold.adopt import Adoption
from tests.conftest import copy_project

FILES = {
    "dbt_project.yml": """
name: web_shop
profile: web_shop
models: {web_shop: {+pre-hook: "install httpfs", +grants: {select: [everybody]}}}
""",
    "packages.yml": "packages: [{git: 'https://example.invalid/tools.git', revision: '1'}]",
    "dbt_packages/tools/dbt_project.yml": "name: tools\nversion: 1.0.0\nconfig-version: 2",
    "dbt_packages/tools/macros/shorten.sql": "{% macro shorten(x) %}left({{ x }}, 3){% endmacro %}",
    "macros/text.sql": "{% macro clean_text(x) %}lower({{ x }}){% endmacro %}",
    "models/sources.yml": """
sources:
  - name: web
    database: warehouse
    schema: raw
    tables:
      - name: visits
        description: A row per page that somebody looked at.
        columns:
          - {name: visit_id, data_type: int}
          - {name: seen_at, data_type: TIMESTAMP_NTZ}
      - name: never_read
""",
    "models/staging/stg_visits.sql": """
with source as (select * from {{ source('web', 'visits') }})
select visit_id, cast(seen_at as timestamp) as seen_at, page, {{ tools.shorten('page') }} as page_code from source
""",
    "models/staging/stg_pages.sql": "select {{ clean_text('page') }} as page from {{ ref('stg_visits') }}",
    "models/visits_by_page.sql": """
{{ config(alias='pages', meta={'owner': 'web-team', 'contains_pii': true, 'tier': 2}) }}
select page as "Page", count(*) as Visits, max(seen_at) as last_seen from {{ ref('stg_visits') }} group by page
""",
    "models/page_kinds.sql": "select page, 'a'::enum('a', 'b') as kind from {{ ref('stg_pages') }}",
    "models/broken.sql": "select no_such_column from {{ ref('stg_visits') }}",
    "models/made_of_broken.sql": "select * from {{ ref('broken') }}",
    "models/guessed.py": "def model(dbt, session):\n    return dbt.ref('stg_visits')\n",
    "models/models.yml": """
models:
  - name: visits_by_page
    columns:
      - {name: Page, description: Address of the page., data_tests: [not_null]}
      - {name: gone, description: There is no such column.}
      - {name: visits, constraints: [{type: not_null}]}
  - name: broken
    columns: [{name: x, data_tests: [not_null]}]
""",
}


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Adoption]:
    """The project of the mesh, and what adopting into one of its domains did to it."""
    from dagster_project.adopt import adopt

    folder = tmp_path_factory.mktemp("web")
    for name, text in FILES.items():
        path = folder / "web_shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = copy_project(folder / "project")
    done = adopt(load_project(project), folder / "web_shop", "interactions", landing=folder / "landing")
    return project, done


def notes(adopted: tuple[Path, Adoption], outcome: str) -> dict[str, str]:
    return {note.what: note.why for note in adopted[1].notes if note.outcome == outcome}


def test_what_cannot_come_along_is_told_and_so_is_what_is_made_from_it(adopted: tuple[Path, Adoption]) -> None:
    told = notes(adopted, "not taken over")
    assert set(told) == {
        "broken", "made_of_broken", "guessed", "not_null of broken.x", "source web.never_read", "macro clean_text",
        "constraints of visits_by_page", "visits_by_page.gone", "meta of visits_by_page: tier",
        *(f"{what} of {name}" for what in ("its pre-hook", "grants")
          for name in ("stg_visits", "stg_pages", "visits_by_page", "page_kinds")),
    }  # fmt: skip
    assert told["broken"].startswith("it does not run on DuckDB")
    assert told["made_of_broken"] == "it reads broken, which is not taken over"
    assert told["guessed"] == "a model in Python; the mesh builds SQL"
    assert adopted[1].products == ("interactions/visits_by_page",)


def test_what_was_changed_says_how(adopted: tuple[Path, Adoption]) -> None:
    enum = "its column kind is of type ENUM, which the lake does not keep"
    raw = "raw table raw_visits, typed by base_interactions__visits"
    assert notes(adopted, "changed") == {
        "stg_visits": "written out as dbt compiled it: it uses the package tools, which the mesh does not have",
        "stg_pages": "written out as dbt compiled it: the mesh has a macro called clean_text already",
        "page_kinds": f"an intermediate model, not a product: {enum}",
        "visits_by_page": "its columns have lower case names",
        "alias of visits_by_page": "pages is left out: a product has its model's name",
        "visits": f"{raw}; no file here: waits for interactions/visits/*.csv",
        "visits: seen_at, page": "no type that DuckDB knows is documented, and there are no rows to tell it from: "
        "text is assumed",
    }
    models = adopted[0] / "dbt/models/interactions"
    written = (models / "staging/stg_visits.sql").read_text()
    assert "from {{ ref('base_interactions__visits') }}" in written
    assert "left(page, 3) as page_code" in written
    assert "lower(page)" in (models / "staging/stg_pages.sql").read_text()


def test_a_source_without_rows_waits_for_deliveries(adopted: tuple[Path, Adoption]) -> None:
    project, done = adopted
    assert done.deliveries == ()
    source = next(source for source in load_sources(project, "interactions") if source.name == "visits")
    assert (source.into, source.files) == ("raw_visits", "interactions/visits/*.csv")
    assert source.delivered == ("visit_id", "seen_at", "page")
    base = (project / "dbt/models/interactions/staging/base_interactions__visits.sql").read_text()
    assert "cast(delivered.visit_id as integer) as visit_id" in base


def test_the_contract_has_the_columns_as_others_can_read_them(adopted: tuple[Path, Adoption]) -> None:
    contract = load_contracts(adopted[0])["interactions/visits_by_page"]
    columns = contract.tables[0].columns
    assert [(column.name, column.physical_type, column.required) for column in columns] == [
        ("page", "VARCHAR", True),
        ("visits", "BIGINT", False),
        ("last_seen", "TIMESTAMP", False),
    ]
    assert (contract.owner, contract.odcs.tags) == ("web-team", ["contains pii"])
    assert columns[0].description == "Address of the page."
    assert [rule.kind for rule in contract.rules] == ["schema", "nullValues"]
    sql = (adopted[0] / "dbt/models/interactions/products/visits_by_page.sql").read_text()
    assert '"Page" as page' in sql


def test_the_domain_keeps_what_it_had(adopted: tuple[Path, Adoption]) -> None:
    project = load_project(adopted[0])
    assert [product.name for product in project.domain("interactions").products] == [
        "contacts",
        "messages",
        "visits_by_page",
    ]
    product = project.product("interactions/visits_by_page")
    assert (product.raw_tables, product.fed_by) == (("raw_visits",), ())
    assert project.product("interactions/contacts").fed_by == ("raw_contacts",)
    changed = {str(change.path.relative_to(project.root)) for change in adopted[1].changes if change.before}
    assert changed == {"data_products/interactions/domain.yaml"}
    assert json.dumps(adopted[1].products) == '["interactions/visits_by_page"]'
