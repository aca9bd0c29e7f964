"""The landing directory: what is in it, that the numbers add up, and that the same call gives the same bytes."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import simulator
from simulator import SimulationError, cjrs, seiss, simulate, ssp, uc_advance
from simulator.world import World
from simulator.writer import Stream

HEADERS = {
    "identity/tax_records/tax_records_0001.csv": "record_id, nino, utr, first_name, last_name, date_of_birth, sex, "
    "address_line, town, postcode, phone, email, updated_at",
    "identity/benefit_records/benefit_records_0001.csv": "customer_ref, national_insurance_number, forenames, surname, "
    "dob, gender, marital_status, nationality, disability, house_and_street, post_town, postcode, mobile, "
    "email_address, household_ref, last_updated",
    "interactions/contacts/contacts_0001.csv": "contact_id, nino, channel, started_at, duration_seconds, reason, "
    "device_id, phone, result",
    "claims/cjrs/cjrs_0001.csv": "claim_ref, employer_paye_ref, employer_name, employee_name, employee_nino, "
    "payroll_ref, furlough_start, furlough_end, reference_pay, normal_hours, worked_hours, furloughed_hours, "
    "claim_amount, sort_code, account_number, account_name, device_id, submitted_at",
    "claims/seiss/seiss_0001.csv": "claim_id, grant_number, utr, nino, claimant_name, address_line, postcode, "
    "three_month_profit, turnover_fall_percent, amount, sort_code, account_number, account_name, device_id, "
    "submitted_at",
    "claims/ssp/ssp_0001.csv": "reference, paye_ref, employer_name, employer_size, employee_name, employee_nino, "
    "period_start, period_end, sick_days, amount, contact_name, phone, sort_code, account_number, account_name, "
    "device_id, submitted_at",
    "claims/uc_advance/uc_advance_0001.csv": "advance_id, customer_nino, customer_name, household_ref, advance_type, "
    "amount, estimated_award, standard_allowance, repayment_months, postcode, sort_code, account_number, "
    "account_name, device_id, requested_at",
    "claims/outcomes/outcomes_0001.csv": "outcome_id, claim_id, selected_by, selected_at, decided_at, finding, "
    "adjusted_amount",
    "_truth/claims.csv": "claim_id, fraud, pattern, person_id",
    "_truth/persons.csv": "person_id, record_system, record_id",
    "_truth/messages.csv": "message_id, risk_of_harm",
}
JOURNAL = "interactions/messages/messages_0001.jsonl"


def _bytes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_file_has_the_agreed_name_and_columns(landing):
    found = _bytes(landing)
    assert set(found) == {*HEADERS, JOURNAL, "manifest.json"}
    for path, header in HEADERS.items():
        with (landing / path).open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == header.split(", "), path
    with (landing / JOURNAL).open(encoding="utf-8") as file:
        assert list(json.loads(next(file))) == ["message_id", "nino", "sent_at", "body", "direction"]


def test_the_manifest_describes_every_delivered_file_exactly(simulated):
    landing, summary = simulated
    listed = json.loads((landing / "manifest.json").read_text(encoding="utf-8"))["files"]
    delivered = [JOURNAL, *(path for path in HEADERS if not path.startswith("_truth/"))]
    assert sorted(entry["path"] for entry in listed) == sorted(delivered)
    assert sorted(summary.files) == sorted([entry["path"] for entry in listed] + ["manifest.json"])
    for entry in listed:
        content = (landing / entry["path"]).read_bytes()
        with (landing / entry["path"]).open(encoding="utf-8", newline="") as file:
            rows = sum(1 for _ in file) if entry["path"] == JOURNAL else sum(1 for _ in csv.reader(file)) - 1
        assert entry == {
            "path": entry["path"],
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": rows,
        }


def test_the_rows_add_up(simulated, sql):
    _, summary = simulated
    rows = summary.rows
    assert {name: rows[name] for name in ("cjrs", "seiss", "ssp", "uc_advance")} == {
        "cjrs": 18_000, "seiss": 6_000, "ssp": 4_000, "uc_advance": 12_000,
    }  # fmt: skip
    every = "select claim_ref id from cjrs union all select claim_id from seiss union all select reference from ssp "
    every += "union all select advance_id from uc"
    assert sql(f"select count(*), count(distinct id) from ({every}) join claims on claim_id = id") == [(40_000, 40_000)]
    assert sql("select count(*) from claims") == [(40_000,)]
    assert sql("select round(avg(fraud::int), 9) from claims") == [(round(summary.fraud_rate, 9),)]
    assert sql("select count(*), count(distinct claim_id) from outcomes semi join claims using (claim_id)") == [
        (rows["outcomes"], rows["outcomes"])
    ]
    assert sql("""select count(*) from persons join
        (select 'tax_records' s, record_id r from tax union all select 'benefit_records', customer_ref from benefit)
        on s = record_system and r = record_id""") == [(rows["tax_records"] + rows["benefit_records"],)]
    assert sql("select count(*), count(distinct contact_id) from contacts") == [(rows["contacts"], rows["contacts"])]
    assert sql("select count(*) from messages join harm using (message_id)") == [(rows["messages"],)]


def test_the_same_call_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / name, claims=700, seed=seed)
    a, b, c = (_bytes(tmp_path / name) for name in "abc")
    assert a == b
    assert {path for path in a if a[path] == c[path]} == set()


@pytest.mark.parametrize("module", [cjrs, seiss, ssp, uc_advance])
def test_a_block_does_not_depend_on_where_it_was_cut(module):
    """Rows are pure functions of their number: that is what makes memory flat and runs repeatable."""
    world = World(11, 4000)
    whole = module.block(world, 0, 300)
    parts = [module.block(world, low, high) for low, high in ((0, 37), (37, 38), (38, 300))]
    assert whole.table == pa.concat_tables([part.table for part in parts])
    assert whole.due.tolist() == np.concatenate([part.due for part in parts]).tolist()


@pytest.mark.parametrize("claims", [1, 2, 7, 60])
def test_even_the_smallest_simulations_are_complete(tmp_path, claims):
    summary = simulate(tmp_path, claims=claims)
    assert sum(summary.rows[scheme] for scheme in ("cjrs", "seiss", "ssp", "uc_advance")) == claims
    assert set(_bytes(tmp_path)) == {*HEADERS, JOURNAL, "manifest.json"}
    for path, header in HEADERS.items():
        assert (tmp_path / path).read_text(encoding="utf-8").startswith('"' + header.replace(", ", '","') + '"\n')


def test_long_sources_are_cut_into_files(tmp_path):
    stream = Stream(tmp_path, "claims/x_{:04d}.csv", chunk=4)
    for low in (0, 3, 6):
        stream.add(pa.table({"n": list(range(low, low + 3))}))
    stream.close()
    assert [(file.path, file.rows) for file in stream.written] == [
        ("claims/x_0001.csv", 4), ("claims/x_0002.csv", 4), ("claims/x_0003.csv", 1),
    ]  # fmt: skip
    assert (tmp_path / "claims/x_0002.csv.partial").read_text() == '"n"\n4\n5\n6\n7\n'


def test_an_earlier_larger_simulation_is_replaced_without_a_trace(tmp_path):
    """Files the new one does not have, and what an interrupted run left, would be read as part of it."""
    old, new = tmp_path / "old", tmp_path / "new"
    simulate(old, claims=300, seed=1)
    manifest = json.loads((old / "manifest.json").read_text(encoding="utf-8"))
    (old / "claims/cjrs/cjrs_0002.csv").write_text("an earlier second chunk")
    (old / "claims/ssp/ssp_0001.csv.partial").write_text("an earlier interruption")
    manifest["files"].append({"path": "claims/cjrs/cjrs_0002.csv", "bytes": 23, "sha256": "0" * 64, "rows": 1})
    (old / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    simulate(old, claims=200, seed=2)
    simulate(new, claims=200, seed=2)
    assert _bytes(old) == _bytes(new)


def test_an_interrupted_simulation_leaves_the_earlier_one_as_it_was(tmp_path):
    simulate(tmp_path, claims=300, seed=1)
    before = _bytes(tmp_path)

    def interrupt(what: str, _share: float) -> None:
        if what == "claims: ssp":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, claims=300, seed=2, progress=interrupt)
    assert _bytes(tmp_path) == before


@pytest.mark.parametrize("foreign", ["notes.txt", "claims/cjrs/cjrs_0009.csv", "claims/grants/grants_0001.csv"])
def test_foreign_files_are_never_touched(tmp_path, foreign):
    simulate(tmp_path, claims=100)
    (tmp_path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / foreign).write_text("somebody else's")
    before = _bytes(tmp_path)
    with pytest.raises(SimulationError, match=foreign):
        simulate(tmp_path, claims=200)
    assert _bytes(tmp_path) == before


def test_memory_does_not_grow_with_the_number_of_claims(tmp_path):
    def peak(claims: int) -> int:
        code = (
            "import resource, sys; from pathlib import Path; from simulator import simulate; "
            f"simulate(Path(sys.argv[1]), claims={claims}); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        root = Path(simulator.__file__).parents[1]
        command = [sys.executable, "-c", code, str(tmp_path / str(claims))]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert peak(150_000) < 1.3 * peak(50_000)


def test_the_simulator_knows_nothing_of_who_reads_its_files():
    imported = set()
    for path in Path(simulator.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    own = imported - set(sys.stdlib_module_names)
    assert own == {"simulator", "numpy", "pyarrow", "typer", "rich"}
