"""The first time a home meets a model, another process parses it.

LightGBM trusts the text it is given: damaged text can crash, hang or eat memory. A hash and a signature tell that the
text is what this mesh wrote, not that it can be parsed. So a child process with bounds on time and memory parses it
and scores one row; only then may this process. What passed is remembered in the home, for this version of LightGBM,
under a signature of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from mesh.errors import ModelError
from mesh.model.signing import Signer

SECONDS = 60.0
"""Time for the child, most of which the import of LightGBM takes on a busy machine."""

GIB = 4
"""Address space of the child."""

SETTLED = "parsed"


def pass_probation(text: bytes, sha256: str, width: int, *, home: Path, signer: Signer) -> None:
    """Parse a model's text in a child process, unless this home has done so before.

    Args:
        text: the trees, whose hash was verified.
        sha256: the bundle's name.
        width: features of the model.

    Raises:
        ModelError: the child crashed, took too long or too much, or refused the text.
    """
    record, note = _record(home, sha256), _note(sha256)
    try:
        signer.verify(note, record.read_bytes(), record)
        return
    except (OSError, ModelError):
        pass  # never met, or met by another LightGBM or key: once more
    why = _try(text, width, SECONDS)
    if why:
        raise ModelError(
            f"Model bundle {sha256[:12]}: its trees were tried in a process of their own, which {why}. They were not "
            "loaded here. Restore the bundle from a backup, promote another version, or train the model again."
        )
    remember(sha256, home=home, signer=signer)


def remember(sha256: str, *, home: Path, signer: Signer) -> None:
    """Note that a bundle's trees can be parsed here."""
    record = _record(home, sha256)
    record.parent.mkdir(parents=True, exist_ok=True)
    draft = record.with_name(f".{record.name}.{os.getpid()}")
    draft.write_bytes(signer.sign(_note(sha256)))
    draft.replace(record)


def _record(home: Path, sha256: str) -> Path:
    return home / "models" / SETTLED / sha256


def _note(sha256: str) -> bytes:
    return f"lightgbm {version('lightgbm')} parsed {sha256}".encode()


def _try(text: bytes, width: int, seconds: float) -> str:
    """What became of a child that parses the text; nothing where all is well."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    # One thread: each more would take its share of the address space.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mesh.model.probation", str(width), str(int(seconds))],
            input=text,
            env={**os.environ, **alone, "PYTHONPATH": path},
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds:g} s"
    if done.returncode < 0:
        return f"ended with signal {-done.returncode}"
    # The child's own words stay with it: they might quote the text.
    return f"refused them (exit status {done.returncode})" if done.returncode else ""


def _bound(seconds: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (GIB << 30, GIB << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def main() -> None:
    """Parse the trees on standard input and score a row of noughts with them, by LightGBM and by our own reading."""
    width, seconds = int(sys.argv[1]), int(sys.argv[2])
    _bound(max(seconds, 1))
    text = sys.stdin.buffer.read().decode()

    import numpy as np

    from mesh.model.compiled import compile_trees
    from mesh.model.engine import lightgbm
    from mesh.model.trees import UnknownTrees, read_trees

    booster = lightgbm().Booster(model_str=text)
    if booster.num_feature() != width:
        sys.exit(3)
    margin = booster.predict(np.zeros((1, width)), raw_score=True, num_threads=1)
    if not np.isfinite(margin).all():
        sys.exit(4)
    try:
        compile_trees(read_trees(text), width)
    except UnknownTrees:
        return


if __name__ == "__main__":
    main()
