"""What a release of scores was made with: the exact model, the rows it read, the contract it was held to.

All of it is told by the release record; nothing here asks what is champion or served now.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.contract import Contract, parse_contract
from mesh.errors import MeshError, ModelError, NotFound, ProjectError, UsageError
from mesh.lake import INPUTS, attach_inputs, reader
from mesh.model.bundle import LoadedModel
from mesh.model.definition import ModelDefinition
from mesh.model.reading import load_definition
from mesh.model.registry import Registry, learned_from
from mesh.model.tracking import prepare_tracking
from mesh.release import Release, parse_reference
from mesh.release.history import read_whole

if TYPE_CHECKING:
    import duckdb

    from mesh.session import Mesh

CATALOG = "mesh"


@dataclass(frozen=True)
class PinnedScores:
    """A release of scores and what it was made with.

    Attributes:
        release: the whole record, contract text included.
        input: the release of the product that was scored.
        definition: what the model was trained by; of it only the names of the key and the time column are used.
    """

    mesh: Mesh
    release: Release
    contract: Contract
    input: Release
    model: LoadedModel
    definition: ModelDefinition
    run_id: str

    @property
    def relation(self) -> str:
        """The scored product as `connect` shows it: as it was served when the scores were made."""
        return f"{INPUTS}.{self.input.views[0]}"

    @property
    def published(self) -> str:
        """The published rows as `connect` shows them, whatever is served now."""
        return f"{CATALOG}.{self.release.views[0]}"

    @cached_property
    def aside(self) -> str:
        """Rows of the same candidate that were put aside; the table stands only where there are some."""
        table = self.contract.tables[0].name
        domain = self.release.product.partition("/")[0]
        return f"{CATALOG}.{domain}_build.{table}_quarantine at (version => {self.release.snapshot})"

    @cached_property
    def trained_on(self) -> tuple[str, ...]:
        """The releases that the model learned from, `domain/product@number`."""
        registry = Registry.opened(self.mesh)
        return learned_from(registry.standing(self.model.name).registration(int(self.model.version or 0)))

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that can only read: the mesh as of the release, and `inputs` as the scoring saw it.

        Raises:
            MeshError: the lake no longer keeps one of the snapshots, or cannot be read.
        """
        import duckdb

        mesh, release = self.mesh, self.release
        connection = reader(mesh.postgres, mesh.settings, at=release.commit)
        try:
            attach_inputs(connection, mesh.postgres, mesh.settings, int(release.inputs_snapshot or 0))
            yield connection
        except duckdb.Error as error:
            # from None: the engine's own text may repeat a value
            raise MeshError(
                f"{release.reference} cannot be read as it was ({type(error).__name__}): the lake must still keep its "
                f"data (snapshot {release.snapshot}) and its inputs (snapshot {release.inputs_snapshot}). See `mesh "
                f"verify {release.product}` for its files."
            ) from None
        finally:
            connection.close()


def pin(mesh: Mesh, reference: str) -> PinnedScores:
    """Find everything that a release of scores was made with.

    Args:
        reference: `domain/product@number`.

    Raises:
        UsageError: the release is not one of a model's scores.
        NotFound: there is no such release, or its model version is not registered any more.
        ModelError: the model's files are damaged, missing, or not those that made the release.
    """
    release = read_whole(mesh.postgres, mesh.history().get(*parse_reference(reference)))
    name, number = release.details.get("model_name"), release.details.get("model_version")
    # What is made of scores, such as monitoring, names their model too; it has a role.
    scores = release.details.get("engine") == "model" and "role" not in release.details
    if not scores or not name or not number or release.inputs_snapshot is None:
        raise UsageError(f"{reference} holds no scores of a model. `mesh models` lists the products of scores.")
    registry = Registry.opened(mesh)
    try:
        model = registry.load(str(name), int(number))
    except NotFound as error:
        raise NotFound(f"{reference} was scored by {name} version {number}. {error}") from error
    made_by = release.details.get("model_sha256", model.sha256)
    if made_by != model.sha256:
        raise ModelError(
            f"{reference} was scored by {name} version {number} with the bundle {made_by}; the registry now has "
            f"{model.sha256} under that number. Restore the version's files and its tag."
        )
    run_id = str(registry.standing(str(name)).registration(int(number)).evidence.get("run", ""))
    definition = _definition(mesh, model, run_id, registry.tracking_uri, release.product)
    path = Path("contracts") / f"{release.product}.yaml"
    made_from = {found.product: found for found in release.inputs}
    if definition.input not in made_from:
        raise ModelError(f"{reference} does not say which release of {definition.input} was scored.")
    scored = mesh.history().get(definition.input, made_from[definition.input].release)
    return PinnedScores(
        mesh=mesh,
        release=release,
        contract=parse_contract(release.contract_text.encode(), path),
        input=scored,
        model=model,
        definition=definition,
        run_id=run_id,
    )


def _definition(mesh: Mesh, model: LoadedModel, run_id: str, uri: str, product: str) -> ModelDefinition:
    """The definition that the model was trained by, or the one of today where the run keeps none that can be read."""
    folder = mesh.settings.project / "data_products" / product.partition("/")[0] / "models"
    present = [load_definition(path) for path in sorted(folder.glob("*.yaml"))]
    for definition in present:
        if definition.digest == model.card.definition:
            return definition
    kept = _kept(run_id, uri)
    if kept is not None:
        return kept
    for definition in present:
        if definition.output == product:
            return definition
    raise ModelError(
        f"The definition that {model.name} version {model.version} was trained by is neither in its run {run_id} nor "
        f"in {folder}, so its rows cannot be read again. Restore the YAML file."
    )


def _kept(run_id: str, uri: str) -> ModelDefinition | None:
    from mlflow.exceptions import MlflowException

    client = prepare_tracking(uri)
    with tempfile.TemporaryDirectory(prefix="mesh-definition-") as place:
        try:
            listed = [item.path for item in client.list_artifacts(run_id, "definition")]
            files = [Path(client.download_artifacts(run_id, name, place)) for name in listed if name.endswith(".yaml")]
            return load_definition(files[0]) if files else None
        except (MlflowException, OSError, ProjectError):
            # A definition of an older form: what it says of key and time is not worth refusing a replay.
            return None
