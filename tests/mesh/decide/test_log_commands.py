"""What an auditor and a data protection officer type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from mesh.access import KeyRing
from mesh.cli import build_app
from mesh.decide.log import LogKeys, erase, log_folder, read, verify
from mesh.errors import DecisionLogError, MeshError, NotFound, UsageError
from mesh.settings import Settings, get_settings
from tests.conftest import ROOT
from tests.mesh.decide.desk import opened, submission


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a mesh with three decisions on record."""
    monkeypatch.setenv("MESH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MESH_PROJECT", str(ROOT))
    get_settings.cache_clear()
    with opened(log_folder(tmp_path / "home"), own_keys(tmp_path / "home")) as log:
        log.append_now([submission(number) for number in (1, 2, 3)])
    return tmp_path / "home"


def own_keys(home: Path) -> LogKeys:
    return LogKeys(KeyRing.load(Settings(project=ROOT, home=home)))


def run(*words: str) -> None:
    build_app()(list(words), standalone_mode=False)


def test_an_auditor_verifies_with_a_root_and_a_public_key_only(home: Path, tmp_path: Path) -> None:
    """No secret of the mesh is there: the log is a copy, and the process knows no home."""
    root, key, copy = tmp_path / "root.json", tmp_path / "key.pem", tmp_path / "copy"
    run("decisions", "root", "--out", str(root))
    run("decisions", "public-key", "--out", str(key))
    log_folder(home).rename(copy)

    def audit() -> subprocess.CompletedProcess[str]:
        words = ["verify", "decisions", "--log", str(copy), "--root", str(root), "--public-key", str(key), "--json"]
        call = "import sys; from mesh.cli import main; sys.argv = ['mesh', *sys.argv[1:]]; main()"
        return subprocess.run(
            [sys.executable, "-c", call, *words], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    sound = audit()
    (segment,) = (copy / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-300])
    cut = audit()
    assert (sound.returncode, json.loads(sound.stdout)["faults"]) == (0, []), sound.stderr
    assert (json.loads(sound.stdout)["records"], json.loads(sound.stdout)["decisions"]) == (3, 3)
    assert cut.returncode == 1
    assert any("exported root at record 3" in fault for fault in json.loads(cut.stdout)["faults"])


def test_verify_tells_what_is_wrong_and_fails(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("verify", "decisions")
    assert "3 decisions, 0 payloads erased" in capsys.readouterr().out
    (segment,) = (log_folder(home) / "segments").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"payload 2", b"payload 7"))
    with pytest.raises(DecisionLogError, match="1 fault"):
        run("verify", "decisions")
    assert "record 2 at byte" in capsys.readouterr().out


def test_a_payload_is_erased_by_command(home: Path) -> None:
    run("decisions", "erase", "--claim", "claim-2", "--why", "asked for")
    found = list(read(log_folder(home)))
    assert [one.erased for one in found] == [False, True, False, False]
    assert (found[-1].entry.body.erased, found[-1].entry.body.why) == (2, "asked for")  # type: ignore[union-attr]
    with pytest.raises(MeshError, match="record 2 is erased already"):
        run("decisions", "erase", "--claim", "claim-2", "--why", "asked for")
    with pytest.raises(UsageError, match="needs a reason"):
        run("decisions", "erase", "--claim", "claim-3", "--why", " ")


def test_a_payload_is_erased_while_another_process_owns_the_log(home: Path) -> None:
    """The service goes on deciding; it is asked through a file that holds no id, and does it."""
    folder, keys = log_folder(home), own_keys(home)
    told: list[object] = []

    def from_outside() -> None:
        for claim in ("claim-1", "claim-9"):
            try:
                told.append(erase(folder, keys, claim, who="officer", why="asked for"))
            except NotFound as error:
                told.append(error)
            except DecisionLogError as error:
                told.append(str(error))

    with opened(folder, keys) as log:
        outside = Thread(target=from_outside)
        outside.start()
        outside.join()
        log.append_now([submission(4)])
    assert told == [4, "There is no decision on this id, or it is being made just now."]
    assert list((folder / "requests").iterdir()) == []
    verdict = verify(folder, keys.public)
    assert (verdict.faults, verdict.decisions, verdict.erased) == ([], 4, 1)


def test_options_of_the_log_are_refused_for_a_product(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="go with `mesh verify decisions` only"):
        run("verify", "claims/claims", "--root", str(tmp_path / "root.json"))


def test_a_file_that_is_no_root_and_no_key_is_refused_by_name(home: Path, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("nothing")
    with pytest.raises(DecisionLogError, match="no is no root of a decision log"):
        run("verify", "decisions", "--root", str(tmp_path / "no"))
    with pytest.raises(DecisionLogError, match="no holds no Ed25519 public key"):
        run("verify", "decisions", "--public-key", str(tmp_path / "no"))
