"""The page on changing a contract, command by command: refused first, then done right."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.conftest import ROOT, copy_project
from tests.spine.bench import command
from tests.spine.conftest import new_spine
from tests.spine.test_tours import follow

PAGE = ROOT / "docs/change-a-contract.md"
HEADER = "contact_id,nino,channel,started_at,duration_seconds,reason,device_id,phone,result\n"
ROWS = "".join(f"{n},,{channel},2020-12-31T12:19:46,1371,claim_progress,,,resolved\n"
               for n, channel in enumerate(["phone", "web", "letter"]))  # fmt: skip


def test_a_breaking_change_is_refused_and_then_done_right(postgres_host: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    landing = tmp_path / "landing/interactions/contacts"
    landing.mkdir(parents=True)
    (landing / "contacts_0001.csv").write_text(HEADER + ROWS)
    (consumer,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)
    place = project / "contracts/interactions/contacts.consumers/benefit-analysts.yaml"
    place.parent.mkdir()
    place.write_text(consumer)
    spine = new_spine(tmp_path, postgres_host, tmp_path / "landing", project)

    printed = follow(PAGE, spine)

    refused = printed["mesh contract diff interactions/contacts"]
    assert "No change since release 1" in refused[0]
    assert "The version must be at least 2.0.0" in refused[1]
    assert "contacts.channel.channel_known: the rule is weaker" in refused[1]
    assert "Hurts consumer benefit-analysts" in refused[1]
    assert "(version 1.0.0 -> 2.0.0)" in refused[2]
    (retired,) = printed["mesh retire interactions/contacts_v1"]
    assert retired == ""
    history = spine.mesh.history()
    assert [(one.product, one.kind, one.release, one.contract_version, one.rows) for one in history.releases] == [
        ("interactions/contacts", "release", 1, "1.0.0", {"contacts": 3}),
        ("interactions/contacts", "release", 2, "2.0.0", {"contacts": 3}),
        ("interactions/contacts_v1", "release", 1, "1.1.0", {"contacts_major1": 3}),
        ("interactions/contacts_v1", "retired", 1, "1.1.0", {"contacts_major1": 3}),
    ]  # fmt: skip
    assert history.releases[-1].why == (
        "Nobody reads it; agreed with the analysts. (forced: insight/claim_features is made from it; its "
        "endOfLife is 2035-01-31)"
    )
    assert "retired" in printed["mesh releases interactions/contacts_v1"][0]
    # A whole mesh is left, in which the analysts' file stands beside the newer major, and what was retired stays so.
    done = command(spine, "run", "--select", "interactions", "--json")
    told = {row["product"]: (row["status"], row["why"]) for row in json.loads(done.out)["products"]}
    assert told["interactions/contacts"][0] == "unchanged"
    assert told["interactions/contacts_v1"] == ("blocked", f"it was retired: {history.releases[-1].why}")
