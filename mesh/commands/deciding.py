"""`mesh verify decisions` and `mesh decisions`: is the decision log whole; its roots, its public key, erasures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.console import screen, waiting

if TYPE_CHECKING:
    from mesh.decide.log import LogKeys, PublicKeys, Verdict
    from mesh.settings import Settings

Folder = Annotated[
    Path | None, typer.Option("--log", metavar="DIR", help="The decision log; default that of this mesh.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The decision log: export what proves it, erase a payload.")
    group.command("root")(root)
    group.command("public-key")(public_key)
    group.command("erase")(erase)
    app.add_typer(group, name="decisions")


def root(out: Out, log: Folder = None) -> None:
    """Export the newest signed root, to be kept where nobody can change it: it proves the log up to its record."""
    from mesh.decide.log import last_root

    newest = last_root(log or _home())
    _write(out, newest.line)
    screen().print(f"Root {newest.number}, at record {newest.sequence}, is in {out}.", markup=False)


def public_key(out: Out) -> None:
    """Export the public keys of this mesh's roots as PEM: with them anybody can verify, without a secret."""
    from mesh.settings import get_settings

    keys = _keys(get_settings()).public
    _write(out, keys.pem)
    screen().print(f"{len(keys.keys)} public key{'s are' if len(keys.keys) > 1 else ' is'} in {out}.", markup=False)


def erase(
    claim: Annotated[str, typer.Option("--claim", metavar="ID", help="The id that was decided on.")],
    why: Annotated[str, typer.Option("--why", help="The reason, kept in the record.")],
    log: Folder = None,
) -> None:
    """Wipe the payload of a decision for ever. The decision itself stays, and a record of the erasure is added."""
    from mesh.access.log import os_user
    from mesh.decide.log import erase as erase_in
    from mesh.errors import UsageError
    from mesh.settings import get_settings

    if not why.strip():
        raise UsageError("An erasure needs a reason: --why TEXT.")
    keys = _keys(get_settings())
    with waiting("Erasing"):
        sequence = erase_in(log or _home(), keys, claim, who=os_user(), why=why)
    screen().print(f"The payload is erased; record {sequence} says so.", markup=False)


def verify_decisions(log: Path | None, roots: list[Path], public_keys: list[Path], as_json: bool) -> None:
    """Print what the log holds and what is wrong with it.

    Raises:
        MeshError: something is.
    """
    import json
    from dataclasses import asdict

    from mesh.decide.log import PublicKeys, read_root, verify
    from mesh.errors import DecisionLogError
    from mesh.settings import get_settings

    keys: PublicKeys = PublicKeys.read(public_keys) if public_keys else _keys(get_settings()).public
    exported = [read_root(file) for file in roots]
    folder = log or _home()
    with waiting(f"Reading {folder}"):
        found = verify(folder, keys, exported)
    if as_json:
        print(json.dumps(asdict(found), indent=2, default=str))
    else:
        _show(found)
    if found.faults:
        raise DecisionLogError(f"{folder} is not as it was written: {len(found.faults)} faults.")


def _show(found: Verdict) -> None:
    console = screen()
    for fault in found.faults:
        console.print(fault, markup=False, soft_wrap=True)
    span = f", {found.first:%Y-%m-%d %H:%M:%S} to {found.last:%Y-%m-%d %H:%M:%S} UTC" if found.first else ""
    console.print(f"{found.records:,} records in {found.segments} segments{span}", markup=False)
    console.print(f"{found.decisions:,} decisions, {found.erased:,} payloads erased", markup=False)
    console.print(f"{found.roots} signed roots; {found.unrooted:,} records behind the last one", markup=False)
    console.print(f"head {found.head}", markup=False)
    if not found.faults:
        console.print("Everything is as it was written.")


def _home() -> Path:
    from mesh.decide.log import log_folder
    from mesh.settings import get_settings

    return log_folder(get_settings().home)


def _keys(settings: Settings) -> LogKeys:
    from mesh.access import KeyRing
    from mesh.decide.log import LogKeys

    return LogKeys(KeyRing.load(settings))


def _write(out: Path, content: bytes) -> None:
    from mesh.errors import UsageError

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}.") from error
