"""Named steps at which a test may kill the process, to prove that a killed run loses and doubles nothing.

MESH_FAILPOINT=NAME[@SUBJECT] makes `reached(NAME, SUBJECT)` end the process the hard way (SIGKILL: no
handler, no cleanup), as a power cut would. Unset, a step costs one look at the environment.
"""

from __future__ import annotations

import os
import signal

STEPS = (
    "ingest.loaded",
    "build.built",
    "build.recorded",
    "audit.recorded",
    "publish.sealed",
    "publish.before_commit",
    "publish.committed",
    "train.trained",
    "model.recorded",
    "train.registered",
    "score.scored",
    "derive.made",
)


def reached(step: str, subject: str = "") -> None:
    """Say that a step was reached; ends the process where the environment asks for exactly this one."""
    assert step in STEPS, step
    wanted = os.environ.get("MESH_FAILPOINT")
    if wanted and wanted in (step, f"{step}@{subject}"):
        os.kill(os.getpid(), signal.SIGKILL)
