"""`mesh model record`: a model's entry for the Algorithmic Transparency Recording Standard."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mesh.console import screen, waiting


def record(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/MODEL", help="A model, such as insight/claim_fraud.")],
    version: Annotated[int | None, typer.Option("--version", min=1, help="A version; default the champion.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as `--schema` describes it.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a record instead.")] = False,
) -> None:
    """Print a model's transparency record: what the mesh knows, what people wrote, and what is still to be written.

    People write in data_products/DOMAIN/records/MODEL.yaml; what the mesh knows is of the version's training, the words
    are those of now.
    """
    from mesh.commands.promoting import find
    from mesh.errors import NotFound
    from mesh.model import Registry
    from mesh.model.atrs import record_schema
    from mesh.model.record import read_record
    from mesh.model.words import load_words, words_path
    from mesh.session import open_mesh

    if schema:
        print(json.dumps(record_schema(), indent=1))
        return
    mesh = open_mesh()
    name, definition = find(mesh, key)
    words = load_words(words_path(mesh.settings.project, key))
    registry = Registry.opened(mesh)
    standing = registry.standing(name)
    number = version or standing.champion
    if number is None:
        raise NotFound(f"{key} has no champion yet. Train it: mesh run --select {definition.output}")
    standing.need(number)
    with waiting("Asking MLflow"):
        run_id = str(standing.registration(number).evidence.get("run", ""))
        found = read_record(registry.tracking_uri, run_id).with_words(words)
    if as_json:
        print(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
        return
    screen().print(found.to_markdown(), markup=False, highlight=False, soft_wrap=True)
