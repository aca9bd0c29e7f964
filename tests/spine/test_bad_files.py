"""Bad deliveries in `mesh run`: refused in words that help, and nobody else notices."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.spine.bench import NEW_CLAIMS, command, deliver_claims, served
from tests.spine.conftest import Spine, new_spine
from tests.spine.test_first_run import PRODUCTS

NEW = "claims/outcomes/outcomes_0002.csv"
COLUMNS = "outcome_id, claim_id, selected_by, selected_at, decided_at, finding, adjusted_amount"
HEADER = COLUMNS.replace(" ", "")
ROW = "{},SSP-1,risk,2020-04-20T16:55:46,2020-05-11T10:40:29,fraud,0.00"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bench(simulated: Path, postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Spine:
    """A mesh of which only the domain claims was built, with a landing zone to spoil."""
    folder = tmp_path_factory.mktemp("bad_files")
    shutil.copytree(simulated, folder / "landing")
    bench = new_spine(folder, postgres_host, folder / "landing")
    assert command(bench, "run", "--select", "claims").status == 0
    return bench


def rows(*names: str) -> str:
    return "\n".join([HEADER, *(ROW.format(name) for name in names)]) + "\n"


def deliver(bench: Spine, content: bytes | str, name: str = NEW) -> Path:
    """A file that arrived a minute ago, so that no run waits to see whether it still grows."""
    path = bench.landing / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return path


def run(bench: Spine, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = command(bench, "run", "--json", *words)
    return done.status, {row["product"]: row for row in json.loads(done.out)["products"]}


def outcomes(bench: Spine) -> dict[str, Any]:
    return served(bench.mesh)["claims/outcomes"]


def gained(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """What a delivery added to the accounting of a product."""
    return {name: count - before["accounting"][name] for name, count in after["accounting"].items()}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", f"{NEW}: is empty (0 bytes). Allowed: a header and rows"),
        (f"{HEADER}\n", f"{NEW}: holds no rows. Allowed: at least one row, or `allow_empty: true` in the source"),
        ("a,b\n1,2\n", f"{NEW}: has none of the 7 mapped columns in its header. Allowed: {COLUMNS}"),
        (
            rows("NEW").replace("finding", "findings"),
            f"{NEW}: lacks column finding; its header has {COLUMNS.replace('finding', 'findings')}. Allowed: {COLUMNS}",
        ),
        (
            rows("NEW")[:-40],
            f"{NEW}: is cut off: its last record (row 1) has too few fields. Allowed: the complete file",
        ),
        (
            rows("NEW", "caf\xe9").encode("latin-1"),
            f"{NEW}:3: is not utf-8 at byte {len(rows('NEW')) + 3}. Allowed: utf-8",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", f"{NEW}:1: is not utf-8 at byte 0. Allowed: utf-8"),
        (b"PK\3\4\0\0\0", f"{NEW}:1: holds a NUL character: binary or damaged. Allowed: text"),
    ],
    ids=["empty", "header only", "wrong header", "missing column", "truncated", "encoding", "binary", "zip"],
)
def test_a_refused_file_changes_nothing_and_says_what_is_allowed(bench: Spine, content: bytes | str, told: str) -> None:
    before = served(bench.mesh)
    path = deliver(bench, content)
    done = command(bench, "run", "--select", "claims/outcomes")
    assert done.status == 1
    assert f"failed claims/outcomes: {told}\n" in done.out
    assert "every last good release stays served" in done.out
    assert served(bench.mesh) == before

    path.unlink()
    status, products = run(bench, "--select", "claims/outcomes")
    assert (status, products["claims/outcomes"]["status"]) == (0, "unchanged")
    assert served(bench.mesh) == before


def test_a_half_written_file_is_refused_until_it_is_as_the_manifest_lists_it(bench: Spine) -> None:
    before = outcomes(bench)
    whole = rows("HALF-1", "HALF-2").encode()
    manifest = json.loads((bench.landing / "manifest.json").read_text())
    listed = {"path": NEW, "bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest(), "rows": 2}
    deliver(bench, json.dumps({**manifest, "files": [*manifest["files"], listed]}), "manifest.json")
    deliver(bench, whole[:150])
    status, products = run(bench, "--select", "claims/outcomes")
    assert status == 1
    assert products["claims/outcomes"]["why"] == (
        f"{NEW}: has 150 bytes, manifest.json says {len(whole)}: half-written or altered. "
        "Allowed: the file as listed, or a new manifest"
    )
    assert outcomes(bench) == before

    deliver(bench, whole)
    status, products = run(bench, "--select", "claims/outcomes")
    assert (status, products["claims/outcomes"]["status"]) == (0, "released")
    assert gained(before, outcomes(bench)) == {
        "source": 2, "published": 2, "quarantined": 0, "filtered": 0, "rejected": 0, "difference": 0,
    }  # fmt: skip


def test_a_file_delivered_again_counts_once(bench: Spine) -> None:
    """Under its own name or another: a content is loaded once, so no row is ever doubled."""
    before = served(bench.mesh)
    first = bench.landing / "claims/outcomes/outcomes_0001.csv"
    deliver(bench, first.read_bytes(), "claims/outcomes/outcomes_0001.csv")
    copy = deliver(bench, first.read_bytes(), "claims/outcomes/outcomes_again.csv")
    status, products = run(bench, "--select", "claims/outcomes")
    assert (status, products["claims/outcomes"]["status"]) == (0, "unchanged")
    deliver(bench, rows("BESIDE"), "claims/outcomes/outcomes_beside.csv")
    status, products = run(bench, "--select", "claims/outcomes")
    assert (status, products["claims/outcomes"]["status"]) == (0, "released")
    assert gained(before["claims/outcomes"], outcomes(bench))["source"] == 1
    copy.unlink()


def test_unreadable_rows_are_rejected_and_counted(bench: Spine) -> None:
    before = outcomes(bench)
    good, also_good = ROW.format("GOOD-1"), ROW.format("GOOD-2")
    deliver(bench, f"{HEADER}\n{good}\ntoo,short\n{also_good}\n", "claims/outcomes/outcomes_broken.csv")
    status, products = run(bench, "--select", "claims/outcomes")
    assert (status, products["claims/outcomes"]["status"]) == (0, "released")
    assert gained(before, outcomes(bench)) == {
        "source": 3, "published": 2, "quarantined": 0, "filtered": 0, "rejected": 1, "difference": 0,
    }  # fmt: skip


def test_rows_that_the_contract_puts_aside_are_quarantined_and_counted(bench: Spine) -> None:
    """An amount below nought and a date that is none: two rows aside, the good one published."""
    before = served(bench.mesh)["claims/claims"]
    with (bench.landing / "claims/ssp/ssp_0001.csv").open(newline="") as file:
        delivered = list(csv.DictReader(file))[:3]
    delivered[0] |= {"reference": "BAD-1", "amount": "-5.00"}
    delivered[1] |= {"reference": "BAD-2", "submitted_at": "some day"}
    delivered[2] |= {"reference": "GOOD-3"}
    text = "\n".join(",".join(map(str, row)) for row in [delivered[0].keys(), *(row.values() for row in delivered)])
    deliver(bench, text + "\n", "claims/ssp/ssp_0002.csv")
    status, products = run(bench, "--select", "claims/claims")
    assert (status, products["claims/claims"]["status"]) == (0, "released")
    after = served(bench.mesh)["claims/claims"]
    assert gained(before, after) == {
        "source": 3, "published": 1, "quarantined": 2, "filtered": 0, "rejected": 0, "difference": 0,
    }  # fmt: skip
    assert after["quarantined"] == {"claims": before["quarantined"].get("claims", 0) + 2}


def test_without_a_first_release_what_is_made_from_it_waits_and_says_for_what(
    simulated: Path, postgres_host: str, tmp_path: Path
) -> None:
    status, products = run(new_spine(tmp_path, postgres_host, simulated), "--select", "insight")
    assert status == 1
    assert {key: row["status"] for key, row in products.items()} == dict.fromkeys(
        (
            "insight/claim_features",
            "insight/claim_groups",
            "insight/claim_scores",
            "insight/fairness",
            "insight/challenger_scores",
            "insight/claim_monitoring",
        ),
        "blocked",
    )
    assert products["insight/claim_scores"]["why"] == (
        "insight/claim_features has no release (not built yet); claims/outcomes has no release (not built yet); "
        "insight/claim_groups has no release (not built yet)"
    )


def test_the_neighbour_in_the_same_run_goes_on_without_the_refused_file(bench: Spine) -> None:
    before = served(bench.mesh)
    deliver_claims(bench.landing, 3)
    path = deliver(bench, "", "claims/outcomes/outcomes_bad.csv")
    status, products = run(bench, "--select", "claims")
    path.unlink()
    assert status == 1
    assert {key: row["status"] for key, row in products.items()} == {
        "claims/claims": "released",
        "claims/outcomes": "failed",
    }
    after = served(bench.mesh)
    assert gained(before["claims/claims"], after["claims/claims"])["published"] == NEW_CLAIMS
    assert after["claims/outcomes"] == before["claims/outcomes"]


@pytest.mark.torture
def test_other_products_go_on_without_the_refused_file(bench: Spine) -> None:
    """One bad file holds up its own product; what is made from that product reads its last good release."""
    number = outcomes(bench)["records"][-1][1]
    path = deliver(bench, "", "claims/outcomes/outcomes_bad.csv")
    status, products = run(bench)
    path.unlink()
    assert status == 1
    assert {key: row["status"] for key, row in products.items()} == dict.fromkeys(PRODUCTS, "released") | {
        "claims/claims": "unchanged",
        "claims/outcomes": "failed",
    }
    assert f"claims/outcomes@{number}" in served(bench.mesh)["insight/claim_features"]["made from"]
