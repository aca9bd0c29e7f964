from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import TrainedModel, load_bundle, score, write_bundle
from mesh.model.engine import lightgbm


@pytest.fixture
def bundle(trained: TrainedModel, tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", trained.model)
    return tmp_path / "bundle"


def test_a_bundle_read_back_scores_the_same(trained: TrainedModel, bundle: Path, everybody: pa.Table) -> None:
    model = load_bundle(bundle, sha256=trained.model.sha256, version=3)
    assert (model.card, model.model_text, model.version) == (trained.model.card, trained.model.model_text, 3)
    assert score(model, everybody).equals(score(trained.model, everybody))


def test_a_bundle_is_three_text_files_and_a_manifest_that_names_them(trained: TrainedModel, bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == ["encoding.json", "manifest.json", "model.txt"]
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest == {
        "model": "insight.risk",
        "files": {
            name: {
                "sha256": hashlib.sha256((bundle / name).read_bytes()).hexdigest(),
                "bytes": (bundle / name).stat().st_size,
            }
            for name in ("encoding.json", "model.txt")
        },
    }
    assert trained.model.sha256 == hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert all(path.read_bytes().isascii() for path in bundle.iterdir())


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def flip(raw: bytes) -> bytes:
    return raw[:200] + bytes([raw[200] ^ 1]) + raw[201:]


def edit(raw: bytes) -> bytes:
    return raw.replace(b"1", b"2", 1)


@pytest.mark.parametrize("name", ["model.txt", "encoding.json", "manifest.json"])
@pytest.mark.parametrize("damage", [cut, flip, edit, lambda raw: b""])
def test_a_damaged_file_is_refused_before_it_is_parsed(
    trained: TrainedModel, bundle: Path, name: str, damage: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LightGBM crashes the process on some damaged files, so it may not even see one."""
    monkeypatch.setattr(lightgbm(), "Booster", None)
    path = bundle / name
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(ModelError, match=f"{name}: the file is not the one that was registered"):
        load_bundle(bundle, sha256=trained.model.sha256)


def test_a_forged_manifest_does_not_help(trained: TrainedModel, bundle: Path) -> None:
    """Somebody who edits a file and its manifest cannot edit the hash that the registry keeps."""
    (bundle / "model.txt").write_bytes(edit((bundle / "model.txt").read_bytes()))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["model.txt"]["sha256"] = hashlib.sha256((bundle / "model.txt").read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"manifest\.json: the file is not the one"):
        load_bundle(bundle, sha256=trained.model.sha256)


@pytest.mark.parametrize("name", ["model.txt", "encoding.json", "manifest.json"])
def test_a_missing_file_is_refused(trained: TrainedModel, bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: a file of the model bundle cannot be read"):
        load_bundle(bundle, sha256=trained.model.sha256)


def test_writing_twice_leaves_the_first(trained: TrainedModel, bundle: Path) -> None:
    before = {path.name: path.stat().st_ino for path in bundle.iterdir()}
    write_bundle(bundle, trained.model)
    assert {path.name: path.stat().st_ino for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
