"""Every policy that ever came into effect, kept by its hashes, so that a decision can be made again by exactly it.

    MESH_HOME/policies/<sha256>.json       the manifest: what a decision names
    MESH_HOME/policies/<sha256>.yaml       the text of a policy's file
    MESH_HOME/policies/<sha256>.csv        the text of a watch list (shared by all policies that had it so)
    MESH_HOME/policies/versions/<policy>-<version>    the hash of the text that first came under this version

Files are written once, made durable before the policy decides anything, and checked against their names when read.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mesh.decide.policy.definition import PolicyDefinition
from mesh.decide.policy.reading import PolicyReader
from mesh.errors import MeshError, NotFound

FOLDER = "policies"


def keep(home: Path, definition: PolicyDefinition) -> str | None:
    """Keep a policy and its lists; what should be told of its version, or None.

    A version whose text has changed is taken - a block must not wait for a number - and told.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / f"{definition.text_sha256}.yaml", definition.text.encode())
    for one in definition.lists.values():
        _write(folder / f"{one.sha256}.csv", one.text.encode())
    _write(folder / f"{definition.sha256}.json", definition.manifest)
    versions = folder / "versions"
    versions.mkdir(exist_ok=True)
    said = versions / f"{definition.name}-{definition.version}"
    _write(said, definition.text_sha256.encode())
    first = said.read_text()
    if first == definition.text_sha256:
        return None
    return (
        f"{definition.path}: version {definition.version} of {definition.name} has another text than when it first "
        f"came into effect: sha256 {definition.text_sha256}, then {first}. Give the changed text a version of its own."
    )


def load_kept(home: Path, sha256: str) -> PolicyDefinition:
    """The policy of a decision, lists and column types included, exactly as it was.

    Raises:
        NotFound: no policy of this hash was kept here.
        MeshError: a kept file was altered.
    """
    folder = home / FOLDER
    manifest = json.loads(_read(folder / f"{sha256}.json", sha256))
    name = f"{manifest['text']}.yaml"
    text = _read(folder / name, manifest["text"])
    lists = {one: _read(folder / f"{digest}.csv", digest) for one, digest in manifest["lists"].items()}
    definition = PolicyReader(folder / name, manifest["columns"], text=text, lists=lists).policy()
    if definition.sha256 != sha256:
        raise MeshError(f"{folder / sha256}.json does not belong to the files that it names. Restore your backup.")
    return definition


def _read(file: Path, digest: str) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"No policy of sha256 {digest} is kept: {file} is not there.") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise MeshError(f"{file} was altered: its content has another sha256 than its name. Restore your backup.")
    return content.decode()


def _write(file: Path, content: bytes) -> None:
    """Once and whole, or not at all: a link fails where the name exists."""
    if file.exists():
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
