"""The README's commands are run as they stand; a command nobody documents is a defect too."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from mesh.cli import build_app
from tests.conftest import ROOT
from tests.spine.conftest import Spine

README = (ROOT / "README.md").read_text()
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines() if line.strip()]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
MESH = [shlex.split(line, comments=True)[1:] for line in SHELL if line.startswith("mesh ")]
MAKE = [shlex.split(line, comments=True)[1] for line in SHELL if line.startswith("make ")]
# These change the mesh or end its server; tests of their own run them.
ELSEWHERE = {"run", "rollback", "promote", "model rollback", "add", "adopt", "new", "retire", "down", "up"}


def test_the_readme_has_commands_and_python() -> None:
    assert len(MESH) > 10
    assert {"run", "up", "test", "lint", "bench"} <= set(MAKE)
    assert len(PYTHON) == 1


def test_every_command_is_in_the_readme() -> None:
    commands = set(get_command(build_app()).commands)  # type: ignore[attr-defined]
    assert commands == {words[0] for words in MESH} | {"up"}


@pytest.mark.parametrize("target", MAKE)
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" not in done.stdout  # said of a name that only .PHONY knows


def elsewhere(words: list[str]) -> bool:
    return not ELSEWHERE.isdisjoint({words[0], " ".join(words[:2])})


@pytest.mark.parametrize("words", [words for words in MESH if not elsewhere(words)], ids=" ".join)
def test_the_commands_of_the_readme_work(words: list[str], spine: Spine, tmp_path: Path) -> None:
    done = spine.command(*(word.replace("/tmp/landing", str(tmp_path / "landing")) for word in words))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("words", [words for words in MESH if elsewhere(words)], ids=" ".join)
def test_the_options_of_all_other_commands_are_taken(words: list[str]) -> None:
    """What would change the session's mesh is parsed to the end: a misspelt option of the README shows here."""
    command, rest = get_command(build_app()), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    context = command.make_context(words[0], rest)
    given = {name for name, value in context.params.items() if value not in (None, False)}
    assert len(given) >= len([word for word in words if word.startswith("--")])


@pytest.mark.parametrize("code", PYTHON)
def test_the_python_of_the_readme_works(code: str, spine: Spine) -> None:
    environment = {
        **os.environ,
        "MESH_PROJECT": str(spine.project),
        "MESH_HOME": str(spine.home),
        "MESH_POSTGRES_URL": spine.url,
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
