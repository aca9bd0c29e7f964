"""`mesh policy ...`: read, check and show decision policies; put identifiers on watch lists and take them off."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.console import listing, screen

if TYPE_CHECKING:
    from mesh.decide.policy import PolicyDefinition
    from mesh.decide.policy.definition import Period, Rule, WatchList

Key = Annotated[str, typer.Argument(metavar="DOMAIN/POLICY", help="A policy, such as insight/claim_decisions.")]
ListName = Annotated[str, typer.Argument(metavar="LIST", help="One of the policy's lists.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    policy = typer.Typer(no_args_is_help=True, help="Check and show decision policies; keep their watch lists.")
    for command in (lint, show, add, remove):
        policy.command(command.__name__)(command)
    app.add_typer(policy, name="policy")


def lint(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Policy files; default all of the mesh.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check policies and their watch lists. Fails on errors, not on warnings."""
    from mesh.access import KeyRing
    from mesh.decide.policy import columns_of, lint_policy, microseconds, policy_files, read_policy
    from mesh.errors import LocatedError
    from mesh.project import load_project
    from mesh.settings import get_settings

    settings = get_settings()
    project = load_project(settings.project)
    found: list[dict[str, Any]] = []
    linted = files or list(policy_files(settings.project).values())
    for file in linted:
        try:
            definition = read_policy(file, columns_of(file, project))
            # A mesh without any token has no key yet, and a check must not make one.
            keyring = KeyRing.load(settings) if any(one.entries for one in definition.lists.values()) else None
            told = lint_policy(definition, at=microseconds(datetime.now(UTC)), keyring=keyring)
            found += [{"severity": "warning", "file": str(file), "what": f"{one.field}: {one.what}"} for one in told]
        except LocatedError as error:
            found.append({"severity": "error", "file": str(file), "what": str(error)})
    errors = sum(one["severity"] == "error" for one in found)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        for one in found:
            place = "" if one["severity"] == "error" else f"{one['file']}: "
            screen().print(f"{place}{one['what']} [{one['severity']}]", markup=False, soft_wrap=True)
        print(f"Policies: {len(linted)}, errors: {errors}, warnings: {len(found) - errors}")
    if errors:
        raise typer.Exit(1)


def show(
    key: Key,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HASH", help="As it was kept, by the hash that a decision names.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a policy: rules in order of precedence, lists, random sample, capacity."""
    from mesh.decide.policy import load_kept
    from mesh.settings import get_settings

    definition = load_kept(get_settings().home, sha256) if sha256 else _read(key)
    facts = {
        "policy": key,
        "version": definition.version,
        "sha256": definition.sha256,
        "description": definition.description,
        "owner": definition.owner,
        "reads": ", ".join(definition.reads),
        "capacity": "the model's" if definition.model.capacity is None else f"{definition.model.capacity:.0%}",
        "random review": "none" if definition.random is None else f"{definition.random.share:.2%} of all",
        "not known": "; ".join(f"{name}: {', '.join(sorted(one))}" for name, one in definition.not_known.items()),
    }
    rules, lists = _rules(definition), [_list(one) for one in definition.lists.values()]
    if as_json:
        print(json.dumps({**facts, "rules": rules, "lists": lists}, indent=2, default=str))
        return
    for name, value in facts.items():
        screen().print(f"{name:>14}  {value or '-'}", markup=False, soft_wrap=True)
    print()
    listing(rules, as_json=False, title="Rules, strongest first", empty="No rules: the model and chance alone decide.")
    print()
    listing(lists, as_json=False, title="Watch lists", empty="No watch lists.")


def add(
    key: Key,
    name: ListName,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why it belongs on the list.")],
    author: Annotated[
        str | None, typer.Option("--author", help="Who says so; default the user of this machine.")
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="DATE", help="Not before; default at once.")] = "",
    end: Annotated[str, typer.Option("--until", metavar="DATE", help="Not after that day; default for ever.")] = "",
) -> None:
    """Put identifiers on a watch list. They are asked for, or read from a pipe, one a line; only tokens are written."""
    from mesh.access.log import os_user
    from mesh.decide.policy import add_entries

    keyring, watched, file = _watched(key, name)
    values, who = _identifiers(watched.kind), author or os_user()
    for token in add_entries(file, watched.kind, values, keyring, author=who, why=why, start=start, end=end):
        print(f"{token} is on {name}.")


def remove(key: Key, name: ListName) -> None:
    """Take identifiers, or their tokens, off a watch list. They are asked for, or read from a pipe, one a line."""
    from mesh.decide.policy import remove_entry

    keyring, watched, file = _watched(key, name)
    for value in _identifiers(watched.kind):
        print(f"{remove_entry(file, watched.kind, value, keyring)} is off {name}.")


def _read(key: str) -> PolicyDefinition:
    from mesh.decide.policy import columns_of, find_policy, read_policy
    from mesh.project import load_project
    from mesh.settings import get_settings

    root = get_settings().project
    path = find_policy(root, key)
    return read_policy(path, columns_of(path, load_project(root)))


def _watched(key: str, name: str) -> tuple[Any, WatchList, Path]:
    from mesh.access import KeyRing
    from mesh.errors import UsageError
    from mesh.settings import get_settings

    definition = _read(key)
    if name not in definition.lists:
        raise UsageError(f"{key} has no list {name}. Allowed: {', '.join(definition.lists) or 'none'}.")
    watched = definition.lists[name]
    assert watched.file is not None
    return KeyRing.load(get_settings()), watched, watched.file


def _identifiers(kind: str) -> list[str]:
    """What is typed, unseen and in no shell history; or the lines of a pipe."""
    from mesh.errors import UsageError

    if sys.stdin.isatty():
        return [typer.prompt(f"Identifier ({kind})", hide_input=True)]
    values = [line.strip() for line in sys.stdin if line.strip()]
    if not values:
        raise UsageError("No identifier was given. Allowed: one a line, through a pipe, or typed when asked.")
    return values


def _rules(definition: PolicyDefinition) -> list[dict[str, Any]]:
    from mesh.decide.policy.definition import ACTIONS

    ordered = sorted(definition.rules, key=lambda rule: (ACTIONS.index(rule.action), rule.id))
    return [
        {
            "action": rule.action,
            "id": rule.id,
            "reason": rule.told.reason,
            "if": _if(rule),
            "in effect": _period(rule.period),
            "author": rule.author,
            "why": rule.why,
        }
        for rule in ordered
    ]


def _if(rule: Rule) -> str:
    return rule.when if rule.listed is None else f"{rule.listed.column} is on {rule.listed.list}"  # type: ignore[return-value]


def _list(one: WatchList) -> dict[str, Any]:
    return {"list": one.name, "identifier": one.kind, "entries": len(one.entries), "key": one.key_id, "says": one.says}


def _period(period: Period) -> str:
    from mesh.decide.policy.definition import EVER

    def day(at: int) -> str:
        return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M")

    start = "" if period.start == EVER[0] else f"from {day(period.start)}"
    end = "" if period.end == EVER[1] else f"before {day(period.end)}"
    return " ".join(part for part in (start, end) if part) or "always"
