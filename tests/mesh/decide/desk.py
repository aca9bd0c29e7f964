"""A decision log to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mesh.access import KeyRing
from mesh.decide.log import Decision, DecisionLog, LogKeys, Model, Policy, Submission

KEYS = LogKeys(KeyRing([b"0123456789abcdef0123456789abcdef"]))
OTHERS_KEYS = LogKeys(KeyRing([b"another mesh has a secret of its own"]))


def decision(number: int, score: int = 40) -> Decision:
    return Decision(
        f"c-{number:08d}", score, score / 100, "review", ("SHARED_DEVICE",), Policy("3", "aa" * 32),
        Model("insight.risk", 7, "bb" * 32), {"shop/orders": 4},
    )  # fmt: skip


def submission(number: int, request: bytes = b"") -> Submission:
    return Submission(
        f"claim-{number}", request or b"request %d" % number, decision(number), b"payload %d " % number * 9
    )


def opened(folder: Path, keys: LogKeys = KEYS, **sizes: Any) -> DecisionLog:
    return DecisionLog(folder, keys, **sizes)


def written(folder: Path, count: int, **sizes: Any) -> None:
    """A closed log with so many decisions, one group each."""
    with opened(folder, **sizes) as log:
        for number in range(1, count + 1):
            log.append_now([submission(number)])
