"""Keys are made once, shared by processes, kept from other users, and never printed."""

from __future__ import annotations

import json
import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pyarrow as pa
import pytest
from filelock import FileLock
from pydantic import SecretStr

from mesh.access import KeyRing, decrypt, encrypt, tokenise_one
from mesh.errors import SettingsError
from mesh.settings import Settings

KEY = "a text of the tests with more than 32 characters"
OLDER = "an older text of the tests with 32 characters or more"


def settings(home: Path, token_key: str | None = None) -> Settings:
    return Settings(project=home, home=home, token_key=SecretStr(token_key) if token_key else None)


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = KeyRing.load(settings(tmp_path / "home"))
    file = tmp_path / "home" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KeyRing.load(settings(tmp_path / "home")).ids == first.ids
    assert KeyRing.load(settings(tmp_path / "other")).ids != first.ids


def test_two_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    """Two keys in one mesh would tear every join on tokens apart."""
    with ThreadPoolExecutor(2) as pool:
        with FileLock(tmp_path / "keys.lock"):
            started = [pool.submit(KeyRing.load, settings(tmp_path)) for _ in range(2)]
            wait(started, timeout=0.5)
            assert not any(one.done() for one in started), "both have seen that there is no key yet"
        assert started[0].result().ids == started[1].result().ids == KeyRing.load(settings(tmp_path)).ids


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    KeyRing.load(settings(tmp_path))
    os.chmod(tmp_path / "keys.json", mode)
    with pytest.raises(SettingsError, match=rf"can be read by others \(mode {mode:o}\).*chmod 600"):
        KeyRing.load(settings(tmp_path))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"active": "k1", "keys": [{"id": "k1", "secret": "c2hvcnQ"}]}'])
def test_a_damaged_key_file_is_refused_without_its_content(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        KeyRing.load(settings(tmp_path))
    assert str(refused.value) == f"{file} is not a key file of the mesh. Restore it from your backup of the keys."


def test_an_older_key_still_opens_what_it_sealed(tmp_path: Path) -> None:
    before = KeyRing.load(settings(tmp_path))
    sealed = encrypt(before, pa.array(["AB123456C"]))
    after = before.rotate()
    assert after.ids == (after.active_id, before.active_id)
    assert KeyRing.load(settings(tmp_path)).ids == after.ids
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert decrypt(after, sealed).to_pylist() == ["AB123456C"]
    assert tokenise_one(after, "nino", "AB123456C") != tokenise_one(before, "nino", "AB123456C")


def test_a_key_of_the_environment_needs_no_file_and_gives_one_token_everywhere(tmp_path: Path) -> None:
    here, there = KeyRing.load(settings(tmp_path / "a", KEY)), KeyRing.load(settings(tmp_path / "b", KEY))
    assert tokenise_one(here, "nino", "AB123456C") == tokenise_one(there, "nino", "AB123456C")
    assert not (tmp_path / "a").exists()
    sealed = encrypt(KeyRing.load(settings(tmp_path, OLDER)), pa.array(["x"]))
    assert decrypt(KeyRing.load(settings(tmp_path, f"{KEY}, {OLDER}")), sealed).to_pylist() == ["x"]


def test_a_short_key_of_the_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MESH_TOKEN_KEY holds a key that is too short\. Allowed: at least 32"):
        KeyRing.load(settings(tmp_path, f"{KEY},short"))


def test_a_ring_of_the_environment_does_not_rotate_itself(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="comes from MESH_TOKEN_KEY and cannot rotate itself"):
        KeyRing.load(settings(tmp_path, KEY)).rotate()


def test_a_ring_shows_no_key(tmp_path: Path) -> None:
    ring = KeyRing.load(settings(tmp_path))
    secret = json.loads((tmp_path / "keys.json").read_text())["keys"][0]["secret"]
    assert repr(ring) == f"KeyRing(active='{ring.active_id}', keys=1)"
    assert secret not in repr(ring) + str(ring)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(ring)
