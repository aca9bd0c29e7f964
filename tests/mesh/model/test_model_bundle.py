from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import TrainedModel, load_bundle, score, write_bundle
from mesh.model import bundle as bundles
from mesh.model.bundle import LoadedModel, bundle_sha256
from mesh.model.engine import lightgbm

FILES = ["encoding.json", "manifest.json", "model.txt", "signature.json"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def bundle(trained: TrainedModel, tmp_path: Path, home: Path) -> Path:
    """Written by a process that parsed the trees, so that loading it starts no child."""
    assert trained.model.booster
    write_bundle(tmp_path / "bundle", trained.model, home=home)
    return tmp_path / "bundle"


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever parses trees in this process, or starts one that does, fails the test."""
    monkeypatch.setattr(lightgbm(), "Booster", None)
    monkeypatch.setattr("mesh.model.probation.subprocess", None)


def unparsed(model: LoadedModel, text: str | None = None) -> LoadedModel:
    """The model as one that this process never parsed, with other trees where they are given."""
    text = model.model_text if text is None else text
    return LoadedModel(model.card, text, bundle_sha256(model.card, text))


def test_a_bundle_read_back_scores_the_same(
    trained: TrainedModel, bundle: Path, home: Path, everybody: pa.Table
) -> None:
    model = load_bundle(bundle, sha256=trained.model.sha256, home=home, version=3)
    assert (model.card, model.model_text, model.version) == (trained.model.card, trained.model.model_text, 3)
    assert score(model, everybody).equals(score(trained.model, everybody))


def test_a_bundle_is_text_a_manifest_that_names_it_and_a_signature(trained: TrainedModel, bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == FILES
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


def test_the_name_of_a_bundle_does_not_depend_on_the_key(trained: TrainedModel, bundle: Path, tmp_path: Path) -> None:
    """The same definition, releases and seed give the same files in every mesh, but for the signature."""
    write_bundle(tmp_path / "there", trained.model, home=tmp_path / "other home")
    differing = [name for name in FILES if (bundle / name).read_bytes() != (tmp_path / "there" / name).read_bytes()]
    assert differing == ["signature.json"]


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def flip(raw: bytes) -> bytes:
    return raw[:50] + bytes([raw[50] ^ 1]) + raw[51:]


def edit(raw: bytes) -> bytes:
    return raw.replace(b"1", b"2", 1)


@pytest.mark.parametrize("name", ["model.txt", "encoding.json", "manifest.json"])
@pytest.mark.parametrize("damage", [cut, flip, edit, lambda raw: b""])
@pytest.mark.usefixtures("no_parser")
def test_a_damaged_file_is_refused_before_it_is_parsed(
    trained: TrainedModel, bundle: Path, home: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    """LightGBM crashes the process on some damaged files, so it may not even see one."""
    path = bundle / name
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(ModelError, match=f"{name}: the file is not the one that was registered"):
        load_bundle(bundle, sha256=trained.model.sha256, home=home)


@pytest.mark.usefixtures("no_parser")
def test_a_forged_manifest_does_not_help(trained: TrainedModel, bundle: Path, home: Path) -> None:
    """Somebody who edits a file and its manifest cannot edit the hash that the ledger keeps, and cannot sign."""
    (bundle / "model.txt").write_bytes(edit((bundle / "model.txt").read_bytes()))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["model.txt"]["sha256"] = hashlib.sha256((bundle / "model.txt").read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"manifest\.json: the file is not the one"):
        load_bundle(bundle, sha256=trained.model.sha256, home=home)
    forged = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=r"signature\.json: the signature is not that of the bundle beside it"):
        load_bundle(bundle, sha256=forged, home=home)


@pytest.mark.usefixtures("no_parser")
def test_a_model_of_another_mesh_is_foreign_and_an_unsigned_one_has_nobody_behind_it(
    trained: TrainedModel, bundle: Path, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="the model is foreign: it was signed with a key that this mesh does not hold"):
        load_bundle(bundle, sha256=trained.model.sha256, home=tmp_path / "another mesh")
    (bundle / "signature.json").unlink()
    with pytest.raises(ModelError, match="It is unsigned: nothing vouches for it"):
        load_bundle(bundle, sha256=trained.model.sha256, home=home)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(trained: TrainedModel, bundle: Path, home: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: a file of the model bundle cannot be read"):
        load_bundle(bundle, sha256=trained.model.sha256, home=home)


def test_writing_twice_leaves_the_first(trained: TrainedModel, bundle: Path, home: Path) -> None:
    before = {path.name: path.stat().st_ino for path in bundle.iterdir()}
    write_bundle(bundle, trained.model, home=home)
    assert {path.name: path.stat().st_ino for path in bundle.iterdir()} == before
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["bundle", "home"]


class Bomb:
    """A pickle of it leaves a mark when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def spoiled(bundle: Path, mark: Path, foreign: Path) -> Iterator[Callable[[Path], None]]:
    """200 ways to spoil a bundle."""
    chance = random.Random(4)

    def with_bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        return lambda folder: void((folder / name).write_bytes(change((folder / name).read_bytes())))

    def void(_: object) -> None: ...

    def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
        def spoil(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return spoil

    def huge(path: Path) -> None:
        path.touch()
        os.truncate(path, 1 << 40)

    for name in FILES:
        size = (bundle / name).stat().st_size
        for _ in range(16):
            place, bit = chance.randrange(size), 1 << chance.randrange(8)
            yield with_bytes(name, lambda raw, at=place, bit=bit: raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :])
            yield with_bytes(name, lambda raw, at=place: raw[:at])
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            yield instead(name, lambda path, how=protocol: path.write_bytes(pickle.dumps(Bomb(mark), how)))
        yield with_bytes(name, lambda raw: raw + b" ")
        yield with_bytes(name, lambda raw: b"[" * 100_000)
        yield with_bytes(name, lambda raw: bytes(1000))
        yield instead(name, lambda path: path.symlink_to(bundle / path.name))
        yield instead(name, lambda path: path.symlink_to("/dev/zero"))
        yield instead(name, os.mkfifo)
        yield instead(name, Path.mkdir)
        yield instead(name, huge)
        yield instead(name, lambda path: path.write_bytes((foreign / path.name).read_bytes() + b"\n"))
        yield lambda folder, name=name: (folder / name).unlink()
    yield lambda folder: shutil.copy(foreign / "signature.json", folder / "signature.json")
    yield lambda folder: shutil.copytree(foreign, folder, dirs_exist_ok=True)
    yield lambda folder: (shutil.rmtree(folder), folder.symlink_to(bundle))
    yield lambda folder: shutil.rmtree(folder)
    yield lambda folder: (shutil.rmtree(folder), folder.touch())
    yield lambda folder: (folder / "signature.json").chmod(0) if os.geteuid() else (folder / "signature.json").unlink()
    yield lambda folder: (folder / "signature.json").write_text(
        json.dumps({"algorithm": "none", "key": "", "signature": ""})
    )
    yield lambda folder: (folder / "signature.json").write_text(json.dumps({"algorithm": "HMAC-SHA256", "key": None}))


@pytest.mark.usefixtures("no_parser")
def test_200_damaged_unsigned_pickled_foreign_huge_and_linked_bundles_are_refused(
    trained: TrainedModel, bundle: Path, home: Path, tmp_path: Path
) -> None:
    mark, foreign = tmp_path / "mark", tmp_path / "foreign"
    write_bundle(foreign, unparsed(trained.model, trained.model.model_text + "\n"), home=tmp_path / "another mesh")
    ways = list(spoiled(bundle, mark, foreign))
    assert len(ways) >= 200
    accepted = []
    for number, spoil in enumerate(ways):
        folder = tmp_path / f"spoiled-{number}"
        shutil.copytree(bundle, folder)
        spoil(folder)
        try:
            load_bundle(folder, sha256=trained.model.sha256, home=home)
            accepted.append(number)
        except ModelError:
            pass
    assert (accepted, mark.exists()) == ([], False)


def test_trees_are_tried_in_a_child_first_and_that_is_remembered(
    trained: TrainedModel, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = unparsed(trained.model)
    write_bundle(tmp_path / "bundle", model, home=home)
    started = []
    real = bundles.pass_probation.__globals__["_try"]
    monkeypatch.setitem(bundles.pass_probation.__globals__, "_try", lambda *given: started.append(1) or real(*given))
    for _ in range(3):
        load_bundle(tmp_path / "bundle", sha256=model.sha256, home=home)
    assert len(started) == 1
    record = home / "models" / "parsed" / model.sha256
    record.write_text(record.read_text() + " ")
    load_bundle(tmp_path / "bundle", sha256=model.sha256, home=home)
    assert len(started) == 2


def crashing(text: str) -> str:
    """A tree that names more leaves than it has, on which LightGBM writes where it may not."""
    return text.replace("num_leaves=", "num_leaves=9999999", 1)


def endless(text: str) -> str:
    """A tree whose root is its own child."""
    head, _, rest = text.partition("\nleft_child=")
    first, _, more = rest.partition("\n")
    return f"{head}\nleft_child={' '.join('0' for _ in first.split())}\n{more}"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (crashing, "refused them|ended with signal"),
        (endless, "did not end within 6 s|ended with signal|refused them"),
        (lambda text: text[: len(text) // 3], "refused them|ended with signal"),
    ],
)
def test_signed_trees_that_cannot_be_parsed_do_not_take_the_caller_with_them(
    trained: TrainedModel,
    tmp_path: Path,
    home: Path,
    spoil: Callable[[str], str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hash and signature are right: they tell who wrote the trees, not that they can be read."""
    monkeypatch.setattr("mesh.model.probation.SECONDS", 6.0)
    model = unparsed(trained.model, spoil(trained.model.model_text))
    write_bundle(tmp_path / "bundle", model, home=home)
    with pytest.raises(ModelError, match=f"tried in a process of their own, which ({words})"):
        load_bundle(tmp_path / "bundle", sha256=model.sha256, home=home)
    assert not (home / "models" / "parsed").exists()
