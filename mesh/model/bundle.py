"""A model as files: `model.txt` (LightGBM's own text, or JSON of a logistic model), `encoding.json`, and
`manifest.json` with the SHA-256 of both.

Nothing is parsed before its hash is verified, because a damaged LightGBM file crashes the process that parses it,
and nothing is ever pickled. The manifest's own hash is kept elsewhere (a tag in the model registry), so that a whole
bundle put in the place of another is refused too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.card import ModelCard
from mesh.model.definition import LOGISTIC
from mesh.model.engine import lightgbm

if TYPE_CHECKING:
    import lightgbm as lgb
    import numpy as np
    import numpy.typing as npt

    from mesh.model.contributions import Forest
    from mesh.model.logistic import Logistic

    Floats = npt.NDArray[np.float64]

FEW = 1000
"""Below this many rows LightGBM's own walk is quicker than solving every tree's patterns."""

MODEL, CARD, MANIFEST = "model.txt", "encoding.json", "manifest.json"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to score. `version` is its number in the registry, None before it has one."""

    card: ModelCard = field(repr=False)
    model_text: str = field(repr=False)
    sha256: str
    version: int | None = None

    @property
    def name(self) -> str:
        return self.card.name

    @cached_property
    def booster(self) -> lgb.Booster:
        """The trees. Only text whose hash was verified, or that LightGBM wrote in this process, gets here."""
        booster = lightgbm().Booster(model_str=self.model_text)
        if booster.num_feature() != len(self.card.features):
            raise ModelError(f"{self.name}: trees and encoding know different numbers of features.")
        return booster

    @cached_property
    def linear(self) -> Logistic:
        """The terms, where the algorithm is logistic; same rule for the text as for trees."""
        from mesh.model.logistic import read_logistic

        return read_logistic(self.model_text, self.card.features)

    def margins(self, matrix: Floats, *, threads: int = 2) -> Floats:
        """Raw margins (log-odds) of encoded rows, whatever the algorithm; the same bits at any thread count."""
        import numpy as np

        if self.card.algorithm == LOGISTIC:
            return self.linear.margins(matrix)
        if not len(matrix):
            return np.zeros(0)
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=threads), dtype=np.float64)

    def contributions(self, matrix: Floats, *, threads: int = 2) -> Floats:
        """Exact Shapley values of encoded rows in log-odds: rows x features, without the base value."""
        import numpy as np

        if self.card.algorithm == LOGISTIC:
            return self.linear.contributions(matrix)
        if len(matrix) >= FEW:
            return self.forest.contributions(matrix)
        predicted = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=threads), dtype=np.float64)
        return predicted[:, :-1]

    @cached_property
    def forest(self) -> Forest:
        """The trees in the form that explains many rows at once."""
        from mesh.model.contributions import Forest

        return Forest(self.booster)


def bundle_files(card: ModelCard, model_text: str) -> dict[str, bytes]:
    """The three files of a bundle by name."""
    files = {MODEL: model_text.encode(), CARD: card.to_json()}
    listed = {name: {"sha256": _sha(raw), "bytes": len(raw)} for name, raw in sorted(files.items())}
    manifest = {"model": card.name, "files": listed}
    files[MANIFEST] = (json.dumps(manifest, sort_keys=True, indent=1) + "\n").encode()
    return files


def bundle_sha256(card: ModelCard, model_text: str) -> str:
    """The hash that names a bundle: that of its manifest, which names the others."""
    return _sha(bundle_files(card, model_text)[MANIFEST])


def write_bundle(folder: Path, model: LoadedModel) -> None:
    """Write a bundle so that the folder is either whole or not there; an existing folder is left alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".bundle-", dir=folder.parent))
    try:
        for name, raw in bundle_files(model.card, model.model_text).items():
            with open(draft / name, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
        os.chmod(draft, 0o755)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load_bundle(folder: Path, *, sha256: str, version: int | None = None) -> LoadedModel:
    """Verify a bundle and read it.

    Args:
        folder: where the three files are.
        sha256: what the manifest's hash must be, from a place that is not the folder.
        version: the registered version, to be carried along.

    Raises:
        ModelError: a file is missing, damaged, edited or belongs to another model. Nothing was parsed.
    """
    raw_manifest = _read(folder / MANIFEST)
    if _sha(raw_manifest) != sha256:
        raise _refused(folder / MANIFEST)
    files: dict[str, Any] = json.loads(raw_manifest)["files"]
    # Read once: what was hashed is what gets parsed.
    raw = {name: _read(folder / name) for name in (MODEL, CARD)}
    for name in (MODEL, CARD):
        if files[name]["sha256"] != _sha(raw[name]):
            raise _refused(folder / name)
    return LoadedModel(ModelCard.from_json(raw[CARD]), raw[MODEL].decode(), sha256, version)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: a file of the model bundle cannot be read. Register the model again.") from error


def _refused(path: Path) -> ModelError:
    return ModelError(
        f"{path}: the file is not the one that was registered (its SHA-256 differs), so it was not parsed. "
        "Restore it, promote another version, or train the model again."
    )


def _sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
