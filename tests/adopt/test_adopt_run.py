"""A dbt project of the jaffle shop's shape, adopted by the command line, built, and held against dbt itself."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mesh.contract import load_contracts
from mesh.errors import ProjectError, UsageError
from mesh.project import load_project
from tests.conftest import ROOT, copy_project
from tests.spine.conftest import Spine, new_spine

SHOP = Path(__file__).parent / "jaffle_shop"
MARTS = ("customers", "locations", "order_items", "orders", "products", "supplies")
STAGING = ("customers", "locations", "order_items", "orders", "products", "supplies")
TABLES = ("customers", "items", "orders", "products", "stores", "supplies")


@dataclass(frozen=True)
class Adopted:
    """A mesh that has adopted the shop: what the command told, and what files the project had before."""

    spine: Spine
    told: dict[str, Any]
    before: dict[Path, bytes]


def files(project: Path) -> dict[Path, bytes]:
    return {path.relative_to(project): path.read_bytes() for path in project.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def adopted(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    folder = tmp_path_factory.mktemp("adopted")
    spine = new_spine(folder, postgres_host, folder / "landing", copy_project(folder / "project"))
    before = files(spine.project)
    done = spine.fork("adopt", str(SHOP), "--domain", "jaffle", "--json")
    assert done.status == 0, done.err
    return Adopted(spine, json.loads(done.out), before)


@pytest.fixture(scope="module")
def released(adopted: Adopted) -> Adopted:
    products = adopted.spine.run("--select", "jaffle")
    assert {name: row["status"] for name, row in products.items()} == {f"jaffle/{name}": "released" for name in MARTS}
    return adopted


def test_it_writes_these_files_and_no_others(adopted: Adopted) -> None:
    now = files(adopted.spine.project)
    models = "dbt/models/jaffle"
    made = {
        *(f"contracts/jaffle/{name}.yaml" for name in MARTS),
        "data_products/jaffle/domain.yaml",
        "data_products/jaffle/adopted.md",
        *(f"data_products/jaffle/sources/{name}.yaml" for name in TABLES),
        "dagster_project/locations/jaffle.py",
        "dbt/macros/jaffle_cents_to_dollars.sql",
        *(f"{models}/{name}" for name in (".sqlfluffignore", "group.yml", "jaffle_shop.yml", "sources.yml")),
        *(f"{models}/staging/base_jaffle__{name}.sql" for name in TABLES),
        *(f"{models}/staging/stg_{name}.sql" for name in STAGING),
        *(f"{models}/products/{name}.sql" for name in MARTS),
    }
    assert {str(path) for path in set(now) - set(adopted.before)} == made
    changed = {str(path) for path, text in adopted.before.items() if now[path] != text}
    assert changed == {"dbt/dbt_project.yml", "workspace.yaml"}
    assert set(adopted.told["files"]) == made | changed
    landing = {str(path.relative_to(adopted.spine.landing)) for path in adopted.spine.landing.rglob("*.csv")}
    assert landing == {f"jaffle/{name}/raw_{name}.csv" for name in TABLES}


def test_models_keep_the_words_they_were_written_in(adopted: Adopted) -> None:
    models = adopted.spine.project / "dbt/models/jaffle"
    written = (SHOP / "models/staging/stg_customers.sql").read_text()
    taken = (models / "staging/stg_customers.sql").read_text()
    assert taken == written.replace("source('ecom', 'raw_customers')", "ref('base_jaffle__customers')")
    assert "cents_to_dollars('subtotal')" in (models / "staging/stg_orders.sql").read_text()
    assert "config(" not in (models / "staging/stg_locations.sql").read_text()
    assert ">= 20 as is_large_order" in (models / "products/orders.sql").read_text()
    assert "is_incremental" not in (models / "products/order_items.sql").read_text()


def test_its_tests_are_the_rules_of_the_contracts(adopted: Adopted) -> None:
    contracts = load_contracts(adopted.spine.project)
    rules = {
        rule.id: rule.severity
        for name in MARTS
        for rule in contracts[f"jaffle/{name}"].rules
        if rule.kind not in ("schema", "rowCount")
    }
    assert rules == {
        "customers.primary_key": "error",
        "customers.customer_id.required": "error",
        "customers.customer_type.customer_type_known": "error",
        "customers.lifetime_spend.lifetime_spend_0": "error",
        "order_items.primary_key": "error",
        "order_items.order_item_id.required": "error",
        "order_items.product_id.required": "error",
        "order_items.product_id.in.jaffle_products": "error",
        "order_items.product_price.product_price_is_not_null_where_is_food_item": "error",
        "orders.primary_key": "error",
        "orders.order_id.required": "error",
        "orders.location_id.in.jaffle_locations": "error",
        "orders.order_cost.order_cost_present": "warning",
        "orders.order_size.order_size_known": "warning",
        "orders.order_total_subtotal_tax_paid": "error",
        "orders.receipts_are_not_negative": "error",
        "products.primary_key": "error",
        "products.product_id.required": "error",
        "supplies.supply_id_product_id_unique": "error",
    }


def test_descriptions_owner_and_types_are_in_the_contract(adopted: Adopted) -> None:
    contracts = load_contracts(adopted.spine.project)
    customers, orders = contracts["jaffle/customers"], contracts["jaffle/orders"]
    assert (customers.owner, orders.owner) == ("shop-data-team", "jaffle-data-team")
    assert customers.description == "Everybody who bought something, with what they spent."
    assert customers.odcs.tags == ["core", "personal data"]
    assert orders.tables[0].column("order_size").description == (
        "Whether the receipt reached the sum from which we call it large."
    )
    assert [(column.name, column.physical_type) for column in customers.tables[0].columns] == [
        ("customer_id", "INTEGER"),
        ("customer_name", "VARCHAR"),
        ("lifetime_orders", "BIGINT"),
        ("first_ordered_on", "TIMESTAMP"),
        ("last_ordered_on", "TIMESTAMP"),
        ("lifetime_spend", "DECIMAL(38,2)"),
        ("customer_type", "VARCHAR"),
    ]
    assert customers.tables[0].column("customer_name").classification == "confidential"
    assert {contracts[f"jaffle/{name}"].status for name in MARTS} == {"draft"}


def test_the_report_names_all_that_was_left_or_changed(adopted: Adopted) -> None:
    notes = adopted.told["notes"]
    told = {(note["file"], note["what"]) for note in notes if note["outcome"] == "not taken over"}
    assert told == {
        ("analyses/takings.sql", "analysis takings"),
        ("dbt_project.yml", "operation jaffle_shop-on-run-end-0"),
        ("macros/generate_schema_name.sql", "macro generate_schema_name"),
        ("models/marts/customer_keys.sql", "customer_keys"),
        ("models/marts/marts.yml", "exposure weekly_takings"),
        ("models/marts/marts.yml", "unit test somebody_who_came_once_is_new"),
        ("models/marts/marts.yml", "mostly_priced"),
        ("models/marts/marts.yml", "relationships of orders.customer_id"),
        ("models/marts/marts.yml", "dbt_utils.recency of customers"),
        ("models/staging/sources.yml", "freshness of source ecom"),
        ("models/staging/sources.yml", "source ecom.raw_stores"),
        *(
            ("models/staging/staging.yml", f"{kind} of stg_{name}")
            for kind in ("not_null", "unique")
            for name in ("customers.customer_id", "orders.order_id")
        ),
        ("packages.yml", "package dbt_utils"),
        ("snapshots/prices.sql", "snapshot prices"),
        ("tests/every_order_has_items.sql", "every_order_has_items"),
    }
    changed = {(note["file"], note["what"]) for note in notes if note["outcome"] == "changed"}
    assert changed == {
        ("models/marts/order_items.sql", "order_items"),
        ("models/marts/orders.sql", "variable large_order_from in orders"),
        ("models/staging/stg_locations.sql", "stg_locations"),
    }
    assert all(note["why"] for note in notes)
    report = (adopted.spine.project / "data_products/jaffle/adopted.md").read_text()
    assert [note for note in notes if f"| {note['file']} | {note['what']} |" not in report] == []


def test_the_products_hold_the_rows_that_dbt_itself_makes(released: Adopted, tmp_path: Path) -> None:
    database = run_with_dbt(tmp_path)
    with duckdb.connect(str(database), read_only=True) as con, released.spine.mesh.reader() as reader:
        for name in MARTS:
            theirs = con.execute(f"select * from main.{name} order by all")
            ours = reader.execute(f"select * from mesh.jaffle.{name}_v1 order by all")
            assert [column[:2] for column in ours.description] == [column[:2] for column in theirs.description], name
            rows = ours.fetchall()
            assert len(rows) > 1, name
            assert rows == theirs.fetchall(), name


def run_with_dbt(folder: Path) -> Path:
    """The shop run by dbt, without the model and the tests of a package that is not installed; the database."""
    shop = folder / "shop"
    shutil.copytree(SHOP, shop)
    for name in ("packages.yml", "models/marts/customer_keys.sql", "models/marts/marts.yml"):
        (shop / name).unlink()
    output = {"type": "duckdb", "path": str(folder / "shop.duckdb"), "threads": 1, "settings": {"TimeZone": "UTC"}}
    profile = {"jaffle_shop": {"target": "dev", "outputs": {"dev": output}}}
    (shop / "profiles.yml").write_text(json.dumps(profile))
    code = (
        "import sys; from dbt.cli.main import dbtRunner\n"
        "sys.exit(0 if all(dbtRunner().invoke(['-q', word]).success for word in ('seed', 'run')) else 1)"
    )
    environment = os.environ | {"DBT_PROFILES_DIR": str(shop), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run([sys.executable, "-c", code], cwd=shop, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return folder / "shop.duckdb"


def test_a_new_delivery_builds_what_is_computed_from_it_and_nothing_else(released: Adopted) -> None:
    """Rows of a mart need not add up with those of its files, but a new file must not go unseen."""
    head, *rows = csv.reader((SHOP / "jaffle-data/raw_customers.csv").read_text().splitlines())
    spine = released.spine
    file = spine.landing / "jaffle/customers/more.csv"
    file.write_text("\n".join([",".join(head), f"{len(rows) + 1},Uma Hart"]) + "\n")

    products = spine.run("--select", "jaffle")

    assert {name for name, row in products.items() if row["status"] == "released"} == {"jaffle/customers"}
    assert {row["status"] for row in products.values()} == {"released", "unchanged"}
    assert products["jaffle/customers"]["rows"] == len(rows) + 1
    assert spine.mesh.history().served["jaffle/customers"].accounting == {}


def test_what_is_made_here_is_linted_and_what_came_keeps_its_style(adopted: Adopted) -> None:
    project = adopted.spine.project
    linter = [str(Path(sys.executable).parent / "sqlfluff"), "lint", "dbt/models/jaffle"]
    environment = os.environ | {"DBT_TARGET_PATH": str(project / ".mesh/dbt/lint")}
    done = subprocess.run(linter, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    exempt = (project / "dbt/models/jaffle/.sqlfluffignore").read_text()
    assert "staging/stg_orders.sql" in exempt
    assert "base_" not in exempt


def test_adopting_twice_says_that_it_is_there(adopted: Adopted) -> None:
    from dagster_project.adopt import adopt

    project, before = adopted.spine.project, files(adopted.spine.project)
    with pytest.raises(UsageError, match=r"jaffle_shop is there already: data_products/jaffle/adopted\.md"):
        adopt(load_project(project), SHOP, "jaffle", landing=adopted.spine.landing)
    assert files(project) == before


def test_a_project_that_does_not_parse_changes_nothing(tmp_path: Path) -> None:
    from dagster_project.adopt import adopt

    project = copy_project(tmp_path / "project")
    shop = tmp_path / "shop"
    shutil.copytree(SHOP, shop)
    (shop / "models/marts/orders.sql").write_text("select * from {{ ref('no_such_model') }}\n")
    before = files(project)
    with pytest.raises(ProjectError) as error:
        adopt(load_project(project), shop, "jaffle", landing=tmp_path / "landing")
    said = str(error.value)
    assert said.startswith(f"{shop}: The dbt project does not parse: Compilation Error")
    assert "models/marts/orders.sql" in said
    assert "no_such_model" in said
    assert "\n" not in said
    assert files(project) == before
    assert not (tmp_path / "landing").exists()


def test_no_dbt_project_is_told_at_once(tmp_path: Path) -> None:
    from dagster_project.adopt import adopt

    with pytest.raises(UsageError, match=r"is no dbt project: it holds no dbt_project\.yml"):
        adopt(load_project(ROOT), tmp_path, "jaffle", landing=tmp_path)
