"""`mesh replay`: a release of scores made again from what it pinned, and compared bit for bit."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.console import listing, screen, waiting

if TYPE_CHECKING:
    from mesh.model.replay import Replay

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Scores, such as insight/claim_scores@3.")],
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads; they change no bit.")] = None,
    as_json: Json = False,
) -> None:
    """Compute a release of scores again from its pinned inputs, model and contract, and compare every bit.

    Writes nothing. Exits 1 where a bit differs, or where something the release was made with is missing.
    """
    from mesh.model.replay import replay as run
    from mesh.session import open_mesh

    with waiting(f"Scoring what {release} scored"):
        found = run(open_mesh(), release, threads=threads)
    if as_json:
        print(json.dumps({**asdict(found), "identical": found.identical}, indent=2))
    else:
        _show(found)
    if not found.identical:
        raise typer.Exit(1)


def _show(found: Replay) -> None:
    facts = [
        ("inputs", f"{', '.join(found.inputs)} (snapshot {found.inputs_snapshot})"),
        ("model", f"{found.model} version {found.version}, sha256 {found.sha256}"),
        ("contract", f"{found.contract_version}, sha256 {found.contract_hash}"),
        ("code", found.made_by if found.made_by == found.replayed_by else f"{found.made_by}, now {found.replayed_by}"),
        ("threads", str(found.threads)),
    ]
    console = screen()
    console.print(f"[bold]{found.release}[/bold]")
    for name, value in facts:
        console.print(f"  {name:<9} {value}", markup=False, soft_wrap=True)
    console.print()
    rows = [{"column": name, "differing rows": number} for name, number in found.differing.items()]
    listing(rows, as_json=False, title=f"{found.rows:,} published rows", empty="")
    aside = f" {found.put_aside:,} more were put aside by the contract." if found.put_aside else ""
    if found.identical:
        console.print(f"\nIdentical: 0 of {found.rows:,} rows differ in any bit.{aside}", markup=False)
        return
    console.print(
        f"\nDIFFERENT: {found.rows_differing:,} rows differ, {found.only_published:,} are only published, "
        f"{found.only_replayed:,} only replayed.{aside}",
        markup=False,
    )
    if found.made_by != found.replayed_by:
        console.print("The code is another one than that of the release: check out its revision and replay there.")
