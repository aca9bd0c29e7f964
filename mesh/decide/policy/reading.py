"""Files to `PolicyDefinition`; every error names the file, the line, the field, what is wrong and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from mesh.access.identifiers import KINDS
from mesh.decide.policy.conditions import Condition, ConditionError, compile_condition
from mesh.decide.policy.definition import (
    ACCEPT,
    ACTIONS,
    EVER,
    MODEL_ONLY,
    Listed,
    ModelReview,
    Period,
    PolicyDefinition,
    RandomReview,
    Rule,
    Told,
    WatchList,
)
from mesh.decide.policy.lists import moment, read_list
from mesh.errors import ProjectError
from mesh.model.reading import COLUMN, NAME, PRODUCT, SHAPES, Reader

CODE = re.compile(r"[A-Z][A-Z0-9_]*")
VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")
SHAPES.update({CODE: "capital letters, digits and _, such as ON_WATCH_LIST", VERSION: "three numbers, such as 1.0.0"})

FIELDS = ("policy", "version", "description", "owner", "reads", "model", "random", "not_known", "lists", "rules")
RULE = (
    "id",
    "action",
    "reason",
    "says",
    "when",
    "list",
    "token",
    "value",
    "otherwise",
    "from",
    "until",
    "author",
    "why",
)
MOST_RULES = 1000


def read_policy(path: Path, columns: Mapping[str, str]) -> PolicyDefinition:
    """Read a policy and its lists (`lists/<name>.csv` beside it).

    Args:
        columns: what conditions may read, with the types that contracts write as `physicalType`. What a model says
            (`MODEL_ONLY`) is never among it.

    Raises:
        ProjectError: the first thing that is wrong in either.
    """
    return PolicyReader(path, columns).policy()


def products_read(path: Path) -> tuple[str, ...]:
    """The products whose columns a policy's conditions may read, as its `reads` names them."""
    reader = PolicyReader(path, {})
    return reader.reads()


def read_text(file: Path) -> str:
    """A list's text; one that nobody has put anything on need not exist."""
    from mesh.decide.policy.lists import HEADER

    if not file.exists():
        return ",".join(HEADER) + "\n"
    try:
        # As it stands, line ends included: the hash is of the file's own bytes.
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise ProjectError("cannot be read", file=file) from error
    except UnicodeDecodeError:
        raise ProjectError("is not UTF-8 text", file=file) from None


class PolicyReader(Reader):
    """A policy file whose lists are read from beside it, or given as texts."""

    holds, fields = "decision policy", FIELDS

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        *,
        text: str | None = None,
        lists: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(path, text)
        self.given = lists
        self.columns_known = {name: kind for name, kind in columns.items() if name not in MODEL_ONLY}
        self.conditions: dict[str, Condition] = {}

    def policy(self) -> PolicyDefinition:
        root = self.root
        self.known(root, "", FIELDS)
        lists = self.lists()
        not_known, rules = self.not_known(), self.rules(lists)
        used = {name for condition in self.conditions.values() for name in condition.columns} | set(not_known)
        used |= {rule.listed.column for rule in rules if rule.listed is not None}
        return PolicyDefinition(
            name=self.text(root, "policy", NAME),
            version=self.text(root, "version", VERSION),
            description=self.text(root, "description"),
            owner=self.text(root, "owner"),
            reads=self.reads(),
            model=self.model(),
            random=self.random(),
            not_known=not_known,
            lists=lists,
            rules=rules,
            columns={name: self.columns_known[name] for name in sorted(used)},
            text=self.text_read,
            path=self.path,
        )

    def reads(self) -> tuple[str, ...]:
        value = self.present(self.root, "reads", "")
        fits = (
            isinstance(value, list) and value and all(isinstance(one, str) and PRODUCT.fullmatch(one) for one in value)
        )
        if not fits or len(set(value)) < len(value):
            raise self.error(self.root, "reads", "", "is not a list of products", "such as [sales/orders], each once")
        return tuple(str(one) for one in value)

    def model(self) -> ModelReview:
        node = self.mapping(self.root, "model", ["capacity", "reason", "says"])
        capacity: float | None = None
        if self.present(node, "capacity", "model.") != "model":
            value = node["capacity"]
            percent = round(value * 100) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
            # A model's bands know its margins at whole percents.
            if not 1 <= percent <= 100 or abs(value * 100 - percent) > 1e-9:
                allowed = "`model` for the model's own, or a share in whole percents from 0.01 to 1, such as 0.15"
                raise self.error(node, "capacity", "model.", "does not fit", allowed)
            capacity = percent / 100
        return ModelReview(told=self.told(node, "model."), capacity=capacity)

    def random(self) -> RandomReview | None:
        if "random" not in self.root:
            return None
        node = self.mapping(self.root, "random", ["share", "reason", "says"])
        share = self.number(node, "share", "random.", above=0.0, below=1.0)
        return RandomReview(share=share, told=self.told(node, "random."))

    def not_known(self) -> dict[str, frozenset[str]]:
        if "not_known" not in self.root:
            return {}
        node, found = self.root["not_known"], {}
        if not isinstance(node, dict):
            raise self.error(self.root, "not_known", "", "is not a mapping", "column: [values]")
        for name in node:
            self.readable(node, name, "not_known.", name)
            value = node[name]
            if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
                raise self.error(node, name, "not_known.", "is not a list of values", "such as [indeterminate, error]")
            found[str(name)] = frozenset(map(str, value))
        return found

    def lists(self) -> dict[str, WatchList]:
        if "lists" not in self.root:
            return {}
        node, found = self.root["lists"], {}
        if not isinstance(node, dict):
            raise self.error(self.root, "lists", "", "is not a mapping", "name: {identifier: ..., says: ...}")
        for name in node:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise self.error(node, name, "lists.", "is no name of a list", SHAPES[NAME])
            within = f"lists.{name}."
            one = self.mapping(node, name, ["identifier", "says"], "lists.")
            kind = self.choice(one, "identifier", KINDS, within)
            file = list_file(self.path, name)
            if self.given is None:
                text = read_text(file)
            elif name in self.given:
                text = self.given[name]
            else:
                raise self.error(node, name, "lists.", "is not among the texts of lists")
            entries, key_id = read_list(text, file, kind)
            says = self.text(one, "says", within=within)
            found[str(name)] = WatchList(str(name), kind, says, entries, text, key_id, file)
        return found

    def rules(self, lists: Mapping[str, WatchList]) -> tuple[Rule, ...]:
        value: Any = self.root.get("rules", [])
        if not isinstance(value, list) or len(value) > MOST_RULES:
            raise self.error(self.root, "rules", "", "is not a list of rules", f"up to {MOST_RULES} mappings")
        found: list[tuple[Rule, Any, str]] = []
        for i, node in enumerate(value):
            within = f"rules[{i}]."
            if not isinstance(node, dict):
                line = self.root["rules"].lc.item(i)[0] + 1
                what, allowed = "is not a mapping", ", ".join(RULE)
                raise ProjectError(what, file=self.path, line=line, field=within[:-1], allowed=allowed)
            self.known(node, within, RULE)
            rule = self.rule(node, within, lists)
            if any(rule.id == other.id for other, _, _ in found):
                raise self.error(node, "id", within, f"{rule.id} stands here twice", "each id once")
            found.append((rule, node, within))
        for (first, _, _), (second, node, within) in combinations(found, 2):
            if self.meaning(first) == self.meaning(second) and first.period.overlaps(second.period):
                how = "says the same as" if first.action == second.action else "contradicts"
                what = f"{how} {first.id}, at the same time and of the same rows ({first.action}, {second.action})"
                raise self.error(node, "id", within, what, "one of them, or periods that do not overlap")
        return tuple(rule for rule, _, _ in found)

    def rule(self, node: Any, within: str, lists: Mapping[str, WatchList]) -> Rule:
        kind = [name for name in ("when", "list") if name in node]
        if len(kind) != 1:
            what = "has neither `when` nor `list`" if not kind else "has both `when` and `list`"
            raise self.error(node, (kind or ["id"])[-1], within, what, "one of them")
        action = self.choice(node, "action", ACTIONS, within)
        period = self.period(node, within)
        if action == ACCEPT and period.end == EVER[1]:
            what = "is missing: rows that are accepted unseen need an end"
            raise self.error(node, "until", within, what, "a date, after which somebody has to think again")
        identity = self.text(node, "id", NAME, within)
        when = self.when(node, within, identity) if "when" in node else None
        if when is not None and (strange := [name for name in ("token", "value", "otherwise") if name in node]):
            raise self.error(node, strange[0], within, "belongs to a rule with a list", "`list` in place of `when`")
        return Rule(
            id=identity,
            action=action,
            told=self.told(node, within),
            author=self.text(node, "author", within=within),
            why=self.text(node, "why", within=within),
            when=when,
            listed=None if when is not None else self.listed(node, within, lists),
            otherwise=self.otherwise(node, within),
            period=period,
        )

    def when(self, node: Any, within: str, identity: str) -> str:
        text = self.text(node, "when", within=within)
        try:
            self.conditions[identity] = compile_condition(text, self.columns_known)
        except ConditionError as error:
            raise self.error(node, "when", within, error.what, error.allowed) from None
        return text

    def listed(self, node: Any, within: str, lists: Mapping[str, WatchList]) -> Listed:
        name = self.choice(node, "list", tuple(lists), within)
        held = [field for field in ("token", "value") if field in node]
        if len(held) != 1:
            allowed = "`token: COLUMN` where the column holds tokens, `value: COLUMN` where it holds plain values"
            raise self.error(
                node, held[-1] if held else "list", within, "does not say which column is looked up", allowed
            )
        column = self.text(node, held[0], COLUMN, within)
        self.readable(node, held[0], within, column)
        return Listed(list=name, column=column, tokens=held[0] == "token")

    def readable(self, node: Any, field: str, within: str, column: str) -> None:
        try:
            compile_condition(f"\"{column}\" = ''", self.columns_known)
        except ConditionError as error:
            raise self.error(node, field, within, error.what, error.allowed) from None

    def otherwise(self, node: Any, within: str) -> Told | None:
        if "otherwise" not in node:
            return None
        inner = self.mapping(node, "otherwise", ["reason", "says"], within)
        return self.told(inner, f"{within}otherwise.")

    def told(self, node: Any, within: str) -> Told:
        return Told(self.text(node, "reason", CODE, within), self.text(node, "says", within=within))

    def period(self, node: Any, within: str) -> Period:
        bounds = [EVER[0], EVER[1]]
        for i, name in enumerate(("from", "until")):
            if name not in node:
                continue
            value = node[name]
            text = value if isinstance(value, str) else value.isoformat() if hasattr(value, "isoformat") else ""
            try:
                bounds[i] = moment(text, end=name == "until")
            except (ValueError, OverflowError):
                allowed = "such as 2020-06-01 (as `until`, all of that day) or 2020-06-01T12:00:00"
                raise self.error(node, name, within, "is no date", allowed) from None
        if bounds[0] >= bounds[1]:
            raise self.error(node, "until", within, "is not later than from", "a later date")
        return Period(*bounds)

    def meaning(self, rule: Rule) -> object:
        return rule.listed if rule.when is None else self.conditions[rule.id].normal


def list_file(policy: Path, name: str) -> Path:
    """Where the entries of a policy's list stand."""
    return policy.parent / "lists" / f"{name}.csv"
