"""Two majors side by side, and the end of the older one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mesh.contract import load_contracts
from mesh.errors import ContractError, NotFound, PublishRefused, UsageError
from mesh.release import Release, hindrances, retire, rollback
from mesh.scaffold import drop_major, new_major
from mesh.session import open_mesh
from tests.mesh.release.conftest import END, KEY, OLDER, Shop, build_older, keep_major


@pytest.fixture
def both(shop: Shop) -> Shop:
    """The product in two majors: the first released once as the only one, with a consumer, and kept."""
    return keep_major(shop)


def test_the_older_major_is_a_product_of_its_own_with_its_consumers(both: Shop) -> None:
    contracts = load_contracts(both.mesh.settings.project)
    assert {key: (c.version, c.status, c.older) for key, c in contracts.items()} == {
        KEY: ("2.0.0", "active", False),
        OLDER: ("1.1.0", "deprecated", True),
    }
    older = contracts[OLDER]
    assert [(table.name, table.declared, older.view(table)) for table in older.tables] == [
        ("orders_major1", "orders", "shop.orders_v1"),
        ("lines_major1", "lines", "shop.lines_v1"),
    ]
    assert [rule.id for rule in older.rules][:2] == ["orders.schema", "orders.primary_key"]
    folder = both.mesh.settings.project / "contracts/shop"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.yaml")) == [
        "orders.yaml", "orders_v1.consumers/till.yaml", "orders_v1.yaml",
    ]  # fmt: skip


def test_both_majors_are_served_and_follow_their_own_contracts(both: Shop) -> None:
    assert build_older(both, [3]).reference == "shop/orders_v1@1"
    assert both.release([-0, 9]).contract_version == "2.0.0"
    assert both.served() == [3]
    connection = both.mesh.reader()
    assert connection.execute("select amount from shop.orders_v2 order by 1").fetchall() == [(0,), (9,)]
    connection.close()
    # The older one is held to the last release under its major, though that was of the product itself.
    path = both.mesh.settings.project / f"contracts/{OLDER}.yaml"
    path.write_text(path.read_text().replace("minimum: 0", "minimum: -1"))
    again = Shop(open_mesh(both.mesh.settings))
    with pytest.raises(PublishRefused, match=r"1 major .* at least 2\.0\.0.* Hurts till"):
        build_older(again, [4])
    with pytest.raises(PublishRefused, match="which shop/orders_v1 serves now"), both.mesh.writer() as connection:
        rollback(connection, both.mesh.postgres, KEY, 1, why="bad", author="tester")


def test_it_is_not_retired_while_somebody_relies_on_it_or_its_day_is_ahead(both: Shop) -> None:
    build_older(both, [3])
    contract = both.mesh.project.product(OLDER).contract
    assert hindrances(both.mesh.project, contract, date(2026, 1, 1)) == (
        "consumer till is registered",
        "its endOfLife is 2999-01-01",
    )

    def end(**given: object) -> Release | None:
        with both.mesh.writer() as connection:
            return retire(connection, both.mesh.postgres, both.mesh.project, contract, author="tester", **given)  # type: ignore[arg-type]

    with pytest.raises(PublishRefused, match="consumer till is registered; its endOfLife is 2999-01-01"):
        end()
    with pytest.raises(UsageError, match="needs a reason"):
        end(force=True)
    assert both.served() == [3]
    done = end(force=True, why="the till was sold")
    assert done is not None
    assert done.why == ("the till was sold (forced: consumer till is registered; its endOfLife is 2999-01-01)")
    history = both.mesh.history()
    assert (OLDER in history.served, history.retired[OLDER].why) == (False, done.why)
    assert [record.kind for record in history.of(OLDER)] == ["release", "retired"]
    with pytest.raises(Exception, match="orders_v1"):
        both.served()
    assert end(force=True, why="again") is None


def test_after_its_day_and_without_consumers_it_goes_with_its_files(both: Shop) -> None:
    build_older(both, [3])
    root = both.mesh.settings.project
    (root / f"contracts/{OLDER}.consumers/till.yaml").unlink()
    contract = both.mesh.project.product(OLDER).contract
    with both.mesh.writer() as connection:
        done = retire(
            connection, both.mesh.postgres, both.mesh.project, contract, author="tester", today=END
        )  # fmt: skip
    assert done is not None
    assert done.why == "its end has come and nobody relies on it"
    gone = drop_major(both.mesh.project, OLDER)
    assert [str(path.relative_to(root)) for path in gone] == [
        "contracts/shop/orders_v1.yaml",
        "dbt/models/shop/products/orders_major1.sql", "dbt/models/shop/orders_major1.yml",
        "dbt/models/shop/products/lines_major1.sql", "dbt/models/shop/lines_major1.yml",
    ]  # fmt: skip
    assert list(open_mesh(both.mesh.settings).project.products) == [KEY]


@pytest.mark.parametrize(
    ("key", "until", "what"),
    [
        (KEY, "2001-01-01", "2001-01-01 is not ahead"),
        (KEY, "soon", "soon is no day"),
        ("shop/tills", END.isoformat(), "There is no product shop/tills"),
    ],
)
def test_a_major_that_cannot_be_kept_changes_nothing(shop: Shop, key: str, until: str, what: str) -> None:
    files = sorted(shop.mesh.settings.project.rglob("*"))
    with pytest.raises((UsageError, NotFound), match=what):
        new_major(shop.mesh.project, key, until=until)
    assert sorted(shop.mesh.settings.project.rglob("*")) == files


def test_an_older_major_stands_beside_a_newer_one(shop: Shop) -> None:
    root: Path = shop.mesh.settings.project
    text = (root / f"contracts/{KEY}.yaml").read_text()
    (root / f"contracts/{OLDER}.yaml").write_text(text)
    with pytest.raises(ContractError, match=r"orders\.yaml has no newer major of contract shop-orders"):
        load_contracts(root)
