"""A small policy over shops' orders: nothing in the platform knows a domain, so neither do its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mesh.access import KeyRing
from mesh.decide.policy import Policy, Verdict, microseconds, read_policy
from mesh.decide.policy.lists import moment

RING = KeyRing([b"a" * 32])
COLUMNS = {
    "phone_token": "VARCHAR",
    "shop": "VARCHAR",
    "orders_1h": "INTEGER",
    "amount": "DECIMAL(14,2)",
    "check": "VARCHAR",
    "ordered_on": "DATE",
    "paid": "BOOLEAN",
    "places": "VARCHAR[]",
    "score": "INTEGER",
}
ROW: dict[str, Any] = dict.fromkeys(COLUMNS) | {"shop": "north", "orders_1h": 1, "check": "yes"}
HEAD = """\
policy: orders
version: 1.0.0
description: What happens to an order.
owner: shop-team
reads: [shop/orders]
model: {capacity: model, reason: HIGH_SCORE, says: It ranks high.}
"""
RANDOM = "random: {share: 0.25, reason: DRAWN, says: It was drawn.}\n"
LISTS = "lists:\n  phones: {identifier: phone, says: Bad phones.}\n  shops: {identifier: other, says: Bad shops.}\n"
SIGNED = "author: shop-team, why: Because."
NOW = moment("2020-06-15")


def rule(name: str, action: str, body: str) -> str:
    code = name.upper()
    return f"  - {{id: {name}, action: {action}, reason: {code}, says: {name} held., {SIGNED}, {body}}}\n"


def write(folder: Path, *rules: str, head: str = HEAD, lists: str = LISTS, **files: str) -> Path:
    """A policy file with these rules, and its lists."""
    path = folder / "orders.yaml"
    path.write_text(head + lists + ("rules:\n" + "".join(rules) if rules else ""))
    (folder / "lists").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "lists" / f"{name}.csv").write_text(text)
    return path


def policy(folder: Path, *rules: str, **more: str) -> Policy:
    return Policy(read_policy(write(folder, *rules, **more), COLUMNS), RING)


def decide(asked: Policy, *, margin: float | None = 0.0, at: int = NOW, key: str = "O1", **row: Any) -> Verdict:
    score = None if margin is None else 50
    return asked.decide(key, ROW | row, at=at, margin=margin, score=score, review_from=1.0)


def codes(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


__all__ = [
    "COLUMNS",
    "HEAD",
    "LISTS",
    "NOW",
    "RANDOM",
    "RING",
    "ROW",
    "codes",
    "decide",
    "microseconds",
    "policy",
    "rule",
]
