"""`mesh new domain`, `new product`, `new model` and `mesh add`: the files of something new, put into their places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.console import called_as, listing, screen, waiting

if TYPE_CHECKING:
    from mesh.profile import ColumnProfile
    from mesh.scaffold.bundles import Change


def register(app: typer.Typer) -> None:
    new = typer.Typer(
        no_args_is_help=True, help="Make a domain, a product from a sample file, a model, or the next major."
    )
    new.command("domain")(domain)
    new.command("product")(product)
    new.command("model")(model)
    new.command("major")(major)
    app.add_typer(new, name="new")
    app.command("add")(add)


def domain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower case letters, digits and _.")],
    owner: Annotated[str | None, typer.Option("--owner", help="The team that owns it.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What its products are for, in a sentence.")] = None,
) -> None:
    """Make a domain: its description, dbt group, code location and workspace line."""
    from mesh.project import load_project
    from mesh.scaffold import new_domain
    from mesh.settings import get_settings

    root = get_settings().project
    changes = new_domain(load_project(root), name, owner=owner, purpose=purpose)
    _tell(changes, root)
    screen().print(f"Its first product: {called_as()} new product {name}/NAME --from FILE")


def product(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/NAME", help="The product to make.")],
    sample: Annotated[Path, typer.Option("--from", metavar="FILE", help="A CSV, JSON lines or Parquet file.")],
    keys: Annotated[
        list[str] | None, typer.Option("--key", metavar="COL", help="A column that names a row; again for several.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", help="A team or an address; default the domain's team.")
    ] = None,
    landing: Annotated[Path | None, typer.Option("--landing", metavar="DIR", help="Where source files are.")] = None,
    leave: Annotated[bool, typer.Option("--leave", help="Do not put the file into the landing zone.")] = False,
) -> None:
    """Make a product from a sample of its deliveries: contract, mapping, SQL, ports."""
    from mesh.project import load_project
    from mesh.scaffold import deliver, new_product
    from mesh.settings import get_settings

    settings = get_settings()
    place = (landing or settings.landing_dir).resolve()
    project = load_project(settings.project)
    with waiting(f"Looking at {sample}"):
        made = new_product(project, key, sample, landing=place, key=keys or (), owner=owner)
    found = made.profile
    console = screen()
    listing([_row(column, found.key) for column in found.columns], as_json=False, title=f"Columns of {key}", empty="")
    for name, why in found.skipped.items():
        console.print(f"Not taken: {name}, {why}.", markup=False)
    if not found.key:
        console.print("No column names a row, so each gets an id of its own; name one with --key if there is one.")
    if found.rejected:
        console.print(f"{found.rejected} rows of the sample cannot be read; they will be listed as rejected.")
    console.print()
    _tell(made.changes, settings.project)
    delivered = None if leave else deliver(sample, place, made.files)
    if delivered is not None:
        console.print(f"delivered  {sample.name} to {delivered}", soft_wrap=True)
    console.print(f"Deliveries are looked for as {place / made.files}", soft_wrap=True)
    console.print(f"The contract is a draft: read contracts/{key}.yaml, and write what it says is to be written.")
    console.print(f"Build it: {called_as()} run --select {key}")


def model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model; its scores become NAME_scores.")],
    key: Annotated[str, typer.Option("--product", metavar="DOMAIN/PRODUCT", help="The product to learn from.")],
    label: Annotated[str, typer.Option("--label", metavar="COL", help="The column that says what was found.")],
    time: Annotated[str, typer.Option("--time", metavar="COL", help="The column that orders rows in time.")],
    positive: Annotated[
        list[str] | None, typer.Option("--positive", metavar="VALUE", help="A label value that counts as found.")
    ] = None,
    domain: Annotated[str, typer.Option("--domain", help="The domain that owns the model.")] = "insight",
    capacity: Annotated[float, typer.Option("--capacity", help="Share of rows that can be checked.")] = 0.22,
    owner: Annotated[
        str | None, typer.Option("--owner", help="A team or an address; default the domain's team.")
    ] = None,
) -> None:
    """Make a model of a product: its definition, and the contract of its scores."""
    from mesh.scaffold import new_model
    from mesh.session import open_mesh

    mesh = open_mesh()
    with waiting(f"Looking at {key}"):
        made = new_model(
            mesh, name, key, label=label, time=time, positive=positive or (), domain=domain, capacity=capacity,
            owner=owner,
        )  # fmt: skip
    console = screen()
    _tell(made.changes, mesh.settings.project)
    for note in made.notes:
        console.print(note, markup=False)
    console.print(f"Train and score: {called_as()} run --select {made.output}")


def major(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT", help="The product that changes.")],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="When the present major ends, YYYY-MM-DD.")],
) -> None:
    """Keep the present major of a product for its consumers, and begin the next one beside it."""
    from mesh.project import load_project
    from mesh.scaffold import new_major
    from mesh.settings import get_settings

    root = get_settings().project
    changes, gone = new_major(load_project(root), key, until=until)
    _tell(changes, root)
    for file in gone:
        screen().print(f"moved    {file.relative_to(root)}", soft_wrap=True)
    older = next(change.path.stem for change in changes if change.before is None)
    screen().print(
        f"Now edit contracts/{key}.yaml and its SQL: {key} is the next major. {key.split('/')[0]}/{older} stays as it "
        f"was until {until}. Both are published by: {called_as()} run",
        markup=False,
    )


def add(bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder such as examples/motor.")]) -> None:
    """Put a data product from a folder into its places in this mesh."""
    from mesh.scaffold.bundles import add_bundle
    from mesh.settings import get_settings

    root = get_settings().project
    done = add_bundle(bundle, root)
    if not done:
        screen().print(f"{bundle} is already in place; nothing to do.")
        return
    _tell(done, root)
    screen().print("Build it: mesh run")


def _tell(changes: Sequence[Change], root: Path) -> None:
    for change in changes:
        screen().print(f"{'changed' if change.before else 'added  '}  {change.path.relative_to(root)}", soft_wrap=True)


def _row(column: ColumnProfile, key: Sequence[str]) -> dict[str, object]:
    """One line of the profile; the values of columns that may be personal are not shown."""
    treated = column.handling
    if treated.personal:
        values = None
    elif column.values:
        values = ", ".join(column.values[:6]) + (", ..." if len(column.values) > 6 else "")
    elif column.low is not None:
        values = f"{column.low} to {column.high}"
    else:
        values = column.pattern
    handled = f"token ({treated.identifier})" if treated.identifier else "redacted" if treated.redact else None
    return {
        "column": column.name,
        "type": column.type,
        "key": "yes" if column.name in key else None,
        "missing": column.missing,
        "unreadable": column.slips,
        "distinct": column.distinct,
        "values": values,
        "handling": handled or (treated.classification if treated.personal else None),
    }
