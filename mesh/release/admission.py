"""Whether a contract may follow the one of the last release: its version must admit what changed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mesh.contract import Consumer, Contract, parse_contract
from mesh.contract.consumers import folder, read_consumer
from mesh.contract.evolution import Difference, difference
from mesh.contract.majors import current
from mesh.errors import ContractError, NotFound, PublishRefused
from mesh.postgres import Postgres
from mesh.project import Project
from mesh.release.history import History, read_whole
from mesh.release.record import Release

UNSETTLED = ("proposed", "draft")
"""What such a contract says is no promise yet, unless a consumer has registered."""


@dataclass(frozen=True)
class Base:
    """An older text of a contract, and what it is called: `release 3`, `revision main`."""

    name: str
    contract: Contract


def base_release(history: History, contract: Contract) -> Release | None:
    """The release that the next one of this contract follows, or None where there is none."""
    mine = history.newest.get(contract.name)
    if mine is not None or not contract.older:
        return mine
    # An older major goes on from the last release that the product had under it.
    before = [release for release in history.of(str(current(contract.name)))
              if release.kind == "release" and release.major == contract.major]  # fmt: skip
    return before[-1] if before else None


def base_of(postgres: Postgres, release: Release, contract: Contract) -> Base:
    """The contract of a release, as it was sealed into it.

    Raises:
        ContractError: its text cannot be read any more.
    """
    text = read_whole(postgres, release).contract_text
    return Base(f"release {release.release}", parse_contract(text.encode(), contract.path))


def at_revision(root: Path, contract: Contract, revision: str) -> Base:
    """The contract as a revision of the project's git repository has it.

    Raises:
        NotFound: no repository, no such revision, or the revision has no such contract.
    """
    file = f"./{contract.path.resolve().relative_to(root.resolve())}"
    if revision.startswith("-"):
        raise NotFound(f"{revision} is no revision.")
    done = subprocess.run(["git", "-C", str(root), "show", f"{revision}:{file}"], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[0].removeprefix("fatal: ") if said else "git failed"
        raise NotFound(f"There is no contract of {contract.name} at revision {revision}: {why}.")
    return Base(f"revision {revision}", parse_contract(done.stdout, contract.path))


def compared(project: Project, base: Base, contract: Contract) -> Difference:
    """What changed since an older text, and which consumers and products it hurts."""
    pure = parse_contract(contract.text.encode(), contract.path)
    consumers = tuple(consumers_of(project.root, base.contract, pure))
    products = project.downstream(contract.name) if contract.name in project.products else ()
    return difference(base.contract, pure, base=base.name, consumers=consumers, products=products)


def consumers_of(root: Path, old: Contract, new: Contract) -> Iterator[Consumer]:
    """The registered consumers; what each relies on is looked up in the older text, where it still is.

    Raises:
        ContractError: a consumer's file fits neither text.
    """
    for file in sorted(folder(root, new.name).glob("*.y*ml")):
        try:
            yield read_consumer(file, old)
        except ContractError:
            yield read_consumer(file, new)


def refusal(postgres: Postgres, project: Project, history: History, contract: Contract) -> str | None:
    """Why a contract may not follow the last release, or None where it may."""
    last = base_release(history, contract)
    if last is None or last.contract_hash == contract.hash:
        return None
    try:
        base = base_of(postgres, last, contract)
    except ContractError as error:
        return (
            f"the contract of release {last.release} cannot be read any more ({error}), so nothing tells what changed. "
            f"A new major version may follow it."
        ) if last.major >= contract.major else None  # fmt: skip
    found = compared(project, base, contract)
    if found.admitted:
        return None
    hurt = [one.name for one in found.affected if one.kind == "consumer"]
    if base.contract.status in UNSETTLED and not hurt:
        return None
    worst = [change for change in found.changes if change.grade == found.needed][:3]
    told = "; ".join(f"{change.place}: {change.what}" for change in worst)
    named = f" Hurts {', '.join(hurt)}." if hurt else ""
    return f"{found.verdict} {told}.{named} `mesh contract diff {contract.name}` tells all."


def admit(postgres: Postgres, project: Project, history: History, contract: Contract) -> None:
    """Raise PublishRefused where `refusal` gives a reason."""
    why = refusal(postgres, project, history, contract)
    if why is not None:
        raise PublishRefused(f"{contract.name}: {why}")
