"""What benchmarks share: a mesh of their own, commands to their end, and their time."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def home(place: Path, landing: Path, project: Path = ROOT) -> Iterator[dict[str, str]]:
    """An environment with a mesh of its own; its services are stopped and its files are gone afterwards."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MESH_")},
        "MESH_HOME": str(place),
        "MESH_LANDING": str(landing),
        "MESH_PROJECT": str(project),
    }
    try:
        yield environment
    finally:
        subprocess.run([script("mesh"), "down"], env=environment, cwd=project, capture_output=True, check=False)
        shutil.rmtree(place, ignore_errors=True)


def timed(command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT) -> float:
    """Seconds of a whole process."""
    started = time.perf_counter()
    run(command, environment, folder)
    return time.perf_counter() - started


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """A command to its end; the benchmark ends with what it said where it fails."""
    done = subprocess.run(command, env=dict(environment), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def script(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).parent / name)


def copy_project(target: Path) -> Path:
    """The project's tracked files in a folder that a benchmark may change."""
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target
