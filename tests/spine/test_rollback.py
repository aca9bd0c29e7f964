"""A rollback is a decision of people: runs respect it, and what was made from the product follows it."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.instance import instance
from tests.spine.bench import command, deliver_claims, served
from tests.spine.conftest import Spine, copied_spine

pytestmark = pytest.mark.timeout(600)


def run(spine: Spine) -> dict[str, tuple[str, int, str]]:
    done = command(spine, "run", "--select", "claims", "--json")
    assert done.status == 0, done.err
    return {row["product"]: (row["status"], row["release"], row["why"]) for row in json.loads(done.out)["products"]}


def test_a_rollback_holds_and_what_is_made_from_it_is_built_anew(
    spine: Spine, postgres_host: str, tmp_path: Path
) -> None:
    spine = copied_spine(spine, tmp_path, postgres_host)
    first = served(spine.mesh)
    deliver_claims(spine.landing, 2)
    assert run(spine) == {
        "claims/claims": ("released", 2, "1 new file"),
        "claims/outcomes": ("released", 2, "claims/claims is built anew"),
    }

    assert command(spine, "rollback", "claims/claims", "--to", "1", "--why", "the second file was a trial").status == 0
    noted = instance(spine.mesh).get_latest_materialization_event(dg.AssetKey(["claims", "claims_v1"]))
    assert noted is not None
    assert noted.asset_materialization is not None
    metadata = noted.asset_materialization.metadata
    assert {name: metadata[name].value for name in ("release", "rolled back because") if name in metadata} == {
        "release": 1,
        "rolled back because": "the second file was a trial",
    }
    assert run(spine) == {
        "claims/claims": ("unchanged", 1, "release 1 is up to date"),
        "claims/outcomes": ("released", 3, "claims/claims@1 is new"),
    }
    after = served(spine.mesh)
    assert after["claims/claims"]["records"] == [("release", 1), ("release", 2), ("rollback", 1)]
    assert after["claims/claims"]["content"] == first["claims/claims"]["content"]
    assert after["claims/outcomes"]["made from"] == ["claims/claims@1"]
    reader = spine.mesh.reader()
    rows = reader.execute("select count(*) from claims.claims_v1").fetchone()
    reader.close()
    assert rows == (first["claims/claims"]["rows"]["claims"],)

    assert {status for status, _, _ in run(spine).values()} == {"unchanged"}
    assert served(spine.mesh) == after

    deliver_claims(spine.landing, 3)
    assert run(spine)["claims/claims"] == ("released", 3, "1 new file")
