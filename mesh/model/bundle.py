"""A model as files: `model.txt` (LightGBM's own text, or JSON of a logistic model), `encoding.json`, `manifest.json`
with the SHA-256 of both, and `signature.json`, this mesh's signature of the manifest.

Nothing is parsed before its hash and the signature are verified, because a damaged LightGBM file crashes the process
that parses it, and nothing is ever pickled. The manifest's own hash is kept elsewhere (the ledger of models), so that a
whole bundle put in the place of another is refused too. The trees themselves are tried in a child process the first
time that a home meets them (`mesh.model.probation`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model.card import ModelCard
from mesh.model.definition import LOGISTIC
from mesh.model.engine import lightgbm
from mesh.model.probation import pass_probation, remember
from mesh.model.signing import Signer

if TYPE_CHECKING:
    import lightgbm as lgb
    import numpy as np
    import numpy.typing as npt

    from mesh.model.compiled import Compiled
    from mesh.model.contributions import Forest
    from mesh.model.logistic import Logistic

    Floats = npt.NDArray[np.float64]

WORTH = 20_000_000
"""Rows times trees from which on the compiled kernels pay for being loaded."""

MODEL, CARD, MANIFEST, SIGNATURE = "model.txt", "encoding.json", "manifest.json", "signature.json"

LARGEST = {MODEL: 256 << 20, CARD: 64 << 20, MANIFEST: 1 << 16, SIGNATURE: 1 << 12}
"""Bytes that a file may have before anything of it is read."""


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

    @cached_property
    def compiled(self) -> Compiled:
        """The trees in the form that scores fastest; `compiled.margin` answers for one row in microseconds.

        Raises:
            ModelError: it is a logistic model, or has trees that only LightGBM itself can score.
        """
        if self._layout is None:
            raise ModelError(
                f"{self.name} is no model of trees that can be compiled. Use `margins`, which any model has."
            )
        return self._layout

    @cached_property
    def _layout(self) -> Compiled | None:
        from mesh.model.compiled import compile_trees
        from mesh.model.trees import UnknownTrees, read_trees

        try:
            return compile_trees(read_trees(self.model_text), len(self.card.features))
        except UnknownTrees:
            return None

    @cached_property
    def forest(self) -> Forest | None:
        """The trees in the form that explains many rows at once; None where only LightGBM can."""
        from mesh.model.contributions import Forest
        from mesh.model.trees import UnknownTrees

        try:
            return None if self._layout is None else Forest(self._layout)
        except UnknownTrees:
            return None

    def worth_compiling(self, rows: int) -> bool:
        """Whether the compiled kernels pay for so many rows: loading them takes about a second, once a process."""
        from mesh.model.compiled import kernels_loaded

        layout = self._layout
        return layout is not None and (kernels_loaded() or rows * len(layout.trees) >= WORTH)

    def margins(self, matrix: Floats, *, threads: int = 2) -> Floats:
        """Raw margins (log-odds) of encoded rows, whatever the algorithm: the same bits by every engine, at any number
        of threads and however rows are cut."""
        import numpy as np

        if self.card.algorithm == LOGISTIC:
            return self.linear.margins(matrix)
        if not len(matrix):
            return np.zeros(0)
        if self.worth_compiling(len(matrix)):
            return self.compiled.margins(matrix, threads=threads)
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=threads), dtype=np.float64)

    def contributions(self, matrix: Floats, *, threads: int = 2) -> Floats:
        """Exact Shapley values of encoded rows in log-odds: rows x features, without the base value."""
        import numpy as np

        if self.card.algorithm == LOGISTIC:
            return self.linear.contributions(matrix)
        if self.forest is not None:
            return self.forest.contributions(matrix, threads=threads, kernels=self.worth_compiling(len(matrix)))
        predicted = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=threads), dtype=np.float64)
        return predicted[:, :-1]


def bundle_files(card: ModelCard, model_text: str) -> dict[str, bytes]:
    """The files of a bundle by name, but for the signature."""
    files = {MODEL: model_text.encode(), CARD: card.to_json()}
    listed = {name: {"sha256": _sha(raw), "bytes": len(raw)} for name, raw in sorted(files.items())}
    manifest = {"model": card.name, "files": listed}
    files[MANIFEST] = (json.dumps(manifest, sort_keys=True, indent=1) + "\n").encode()
    return files


def bundle_sha256(card: ModelCard, model_text: str) -> str:
    """The hash that names a bundle: that of its manifest, which names the others."""
    return _sha(bundle_files(card, model_text)[MANIFEST])


def write_bundle(folder: Path, model: LoadedModel, *, home: Path) -> None:
    """Write and sign a bundle so that the folder is either whole or not there; an existing folder is left alone.

    Args:
        home: that of the mesh which signs.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    files = bundle_files(model.card, model.model_text)
    signer = Signer.of(home)
    files[SIGNATURE] = signer.sign(files[MANIFEST])
    draft = Path(tempfile.mkdtemp(prefix=".bundle-", dir=folder.parent))
    try:
        for name, raw in files.items():
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
    if "booster" in vars(model):
        # This very process has parsed the trees, as whoever trains does.
        remember(model.sha256, home=home, signer=signer)


def load_bundle(folder: Path, *, sha256: str, home: Path, version: int | None = None) -> LoadedModel:
    """Verify a bundle and read it.

    Args:
        folder: where the files are.
        sha256: what the manifest's hash must be, from a place that is not the folder.
        home: that of the mesh which must have signed it, and which remembers what was parsed before.
        version: the registered version, to be carried along.

    Raises:
        ModelError: a file is missing, damaged, edited, too large, no plain file, unsigned, or of another model or mesh;
            or the trees cannot be parsed. This process parsed nothing of it.
        SettingsError: the key file of the mesh is damaged or readable by others.
    """
    signer = Signer.of(home)
    raw_manifest = _read(folder, MANIFEST)
    if _sha(raw_manifest) != sha256:
        raise _refused(folder / MANIFEST)
    signer.verify(raw_manifest, _read(folder, SIGNATURE), folder / SIGNATURE)
    try:
        listed = {str(name): str(told["sha256"]) for name, told in json.loads(raw_manifest)["files"].items()}
        # Read once: what was hashed is what gets parsed.
        raw = {name: _read(folder, name) for name in (MODEL, CARD)}
        for name in (MODEL, CARD):
            if listed[name] != _sha(raw[name]):
                raise _refused(folder / name)
        card = ModelCard.from_json(raw[CARD])
        text = raw[MODEL].decode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{folder}: the bundle is signed, but is not what this version of the mesh writes. Train the model again."
        ) from error
    model = LoadedModel(card, text, sha256, version)
    if card.algorithm == LOGISTIC:
        _ = model.linear  # JSON, read by Python: it may be refused, but hurts nobody
    else:
        pass_probation(raw[MODEL], sha256, len(card.features), home=home, signer=signer)
    return model


def _read(folder: Path, name: str) -> bytes:
    """A file's content, if it is a plain file of a size that makes sense: no link, pipe or device is followed."""
    path = folder / name
    try:
        if stat.S_ISLNK(os.lstat(folder).st_mode):
            raise ModelError(f"{folder}: a link stands in the place of a model bundle. Allowed: a folder.")
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        unsigned = " It is unsigned: nothing vouches for it." if name == SIGNATURE and not os.path.lexists(path) else ""
        raise ModelError(
            f"{path}: a file of the model bundle cannot be read.{unsigned} Allowed: a plain file. Register the model "
            "again."
        ) from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST[name]:
            raise ModelError(
                f"{path}: this is no file of a model bundle. Allowed: a plain file of at most {LARGEST[name]:,} bytes."
            )
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(LARGEST[name] + 1)
    finally:
        os.close(handle)


def _refused(path: Path) -> ModelError:
    return ModelError(
        f"{path}: the file is not the one that was registered (its SHA-256 differs), so it was not parsed. "
        "Restore it, promote another version, or train the model again."
    )


def _sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
