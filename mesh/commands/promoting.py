"""`mesh model promote`, `rollback`, `retire`, `restore`, and `mesh promote`: which version of a model scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mesh.console import called_as, listing, screen, waiting

if TYPE_CHECKING:
    import pyarrow as pa

    from mesh.model import ModelDefinition
    from mesh.model.comparison import Groups
    from mesh.session import Mesh

Key = Annotated[str, typer.Argument(metavar="DOMAIN/MODEL", help="A model, such as insight/claim_fraud.")]
Number = Annotated[int, typer.Option("--version", min=1, help="The version.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept in the record.")]


def register(app: typer.Typer, group: typer.Typer) -> None:
    """Add the commands to the group of a model; promoting stands beside `run` and `rollback`, too."""
    group.command("promote")(promote)
    group.command("rollback")(rollback)
    group.command("retire")(retire)
    group.command("restore")(restore)
    app.command("promote")(promote)


def promote(
    key: Key,
    version: Number,
    why: Why,
    force: Annotated[
        bool, typer.Option("--force", help="Although a gate is not passed; that stays on record with the reason.")
    ] = False,
) -> None:
    """Make a version of a model champion, if it passes the gates on rows that neither it nor the champion learned."""
    from mesh.access.log import os_user
    from mesh.model import Registry
    from mesh.model.promotion import Ask, weigh
    from mesh.model.promotion import promote as make_champion
    from mesh.session import open_mesh

    ask = Ask(os_user(), why)
    mesh = open_mesh()
    name, definition = find(mesh, key)
    registry = Registry.opened(mesh)
    registry.standing(name).need(version)
    with waiting("Comparing it with the champion"):
        rows, groups = later_rows(mesh, definition)
        found = weigh(registry, name, version, definition, rows, groups=groups, threads=mesh.settings.threads)
        done = make_champion(registry, name, version, ask, definition, found, force=force)
    rows_told = [{"gate": one.gate, "verdict": one.verdict, "told": one.told} for one in done.verdicts]
    listing(rows_told, as_json=False, title=f"Version {version} of {key}", empty="")
    forced = " It was forced, which is on record." if done.forced else ""
    screen().print(f"\nVersion {version} is champion now{_after(done.before)}.{forced}", markup=False)
    _next(definition)


def rollback(
    key: Key,
    why: Why,
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="The version to go back to; default the champion before.")
    ] = None,
) -> None:
    """Make an earlier champion champion again. No gate is asked; nothing is deleted."""
    from mesh.access.log import os_user
    from mesh.model import Registry
    from mesh.model.promotion import Ask, roll_back
    from mesh.session import open_mesh

    ask = Ask(os_user(), why)
    mesh = open_mesh()
    name, definition = find(mesh, key)
    with waiting("Telling MLflow"):
        left, now = roll_back(Registry.opened(mesh), name, to, ask)
    screen().print(f"Version {now} is champion again{_after(left)}.", markup=False)
    _next(definition)


def retire(key: Key, version: Number, why: Why) -> None:
    """Take a version out of service: it scores no more, not even in shadow. Its files stay, so it can be replayed."""
    from mesh.access.log import os_user
    from mesh.model import Registry
    from mesh.model.promotion import Ask
    from mesh.model.promotion import retire as take_out
    from mesh.session import open_mesh

    ask = Ask(os_user(), why)
    mesh = open_mesh()
    name, _ = find(mesh, key)
    with waiting("Telling MLflow"):
        take_out(Registry.opened(mesh), name, version, ask)
    screen().print(f"Version {version} of {key} is retired. Its files stay: releases that it made can be replayed.")


def restore(key: Key, version: Number, why: Why) -> None:
    """Put a retired version back into service, as a challenger."""
    from mesh.access.log import os_user
    from mesh.model import Registry
    from mesh.model.promotion import Ask
    from mesh.model.promotion import restore as put_back
    from mesh.session import open_mesh

    ask = Ask(os_user(), why)
    mesh = open_mesh()
    name, _ = find(mesh, key)
    with waiting("Telling MLflow"):
        put_back(Registry.opened(mesh), name, version, ask)
    screen().print(f"Version {version} of {key} is a challenger again.")


def definitions(mesh: Mesh) -> dict[str, ModelDefinition]:
    """Every model of the mesh by its registered name."""
    from mesh.model import load_definitions

    return {key.replace("/", "."): found for key, found in load_definitions(mesh.settings.project).items()}


def find(mesh: Mesh, key: str) -> tuple[str, ModelDefinition]:
    """The registered name of `domain/model` and its definition.

    Raises:
        NotFound: there is no such model.
    """
    from mesh.errors import NotFound

    known = definitions(mesh)
    name = key.replace("/", ".")
    if name not in known:
        models = ", ".join(found.replace(".", "/") for found in known) or "none"
        raise NotFound(f"There is no model {key}. Models of this mesh: {models}.")
    return name, known[name]


def later_rows(mesh: Mesh, definition: ModelDefinition) -> tuple[pa.Table, Groups | str]:
    """The labelled rows that are served now and fall into the test part, what each stands for, and their groups."""
    from mesh.errors import NotFound
    from mesh.model import groups_of, population_frame, read_groups, training_frame
    from mesh.model.comparison import NO_GROUPS, WEIGHT
    from mesh.model.lateness import put_aside
    from mesh.model.sampling import weigh
    from mesh.model.split import TEST, split_rows

    served = mesh.history().served
    for product in definition.products:
        if product not in served:
            raise NotFound(f"{product} has no release yet, so nothing can be compared. Build it: mesh run")

    def relation_for(product: str) -> str:
        return served[product].views[0]

    connection = mesh.reader()
    try:
        table = training_frame(connection, definition, relation_for=relation_for)
        everybody = population_frame(connection, definition, relation_for=relation_for)
        groups = read_groups(connection, definition, relation_for=relation_for)
    finally:
        connection.close()
    split = split_rows(definition, put_aside(definition, table, everybody)[0])
    place = split.place(TEST)
    rows = split.table.slice(place.start)
    if (weights := weigh(definition, split, everybody)) is not None:
        rows = rows.append_column(WEIGHT, [weights.figures[place]])
    return rows, NO_GROUPS if groups is None else groups_of(groups, rows.column(definition.key)).to_pydict()


def _after(before: int | None) -> str:
    return f", after version {before}" if before else ""


def _next(definition: ModelDefinition) -> None:
    screen().print(f"Score with it: {called_as()} run --select {definition.output}", markup=False)
