"""Checked expressions as Python source: whole-number arithmetic on locals, no calls where none are needed.

The source is written from checked trees alone: names become `v0`, `v1`, ..., texts stand in quotes as Python writes
them, and everything else is a word of this module. A condition is written for what it is asked: whether it is true, or
whether it is false - SQL's third value, unknown, is then neither and needs no value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesh.features import numbers, tree
from mesh.features.tree import Node
from mesh.features.types import QUOTIENT, Type
from mesh.features.vocabulary import FUNCTIONS

INVERSE = {"=": "!=", "<>": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
PYTHON = {"=": "==", "<>": "!="}
RUNTIME: dict[str, Any] = {
    "rounded": numbers.rounded,
    "double": numbers.double,
    "wide_double": numbers.wide_double,
    "from_double": numbers.from_double,
    "double_to_integer": numbers.double_to_integer,
    **{f"f_{name}": function.python for name, function in FUNCTIONS.items()},
}
"""What generated source may call."""


class Source:
    """Writes expressions over known local names; helpers that one expression needs are numbered over all."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = dict(names)
        self.count = 0

    def value(self, node: Node) -> str:
        """An expression that gives the value, or None."""
        match node.op:
            case tree.NAME:
                return self.names[node.value]
            case tree.CONSTANT:
                return f"({node.value!r})"
            case tree.ADD | tree.SUBTRACT | tree.MULTIPLY:
                return self.known(node.args, lambda left, right: f"{left} {node.op} {right}")
            case tree.DIVIDE:
                return self.known(node.args, lambda left, right: f"({left} / {right} if {right} else None)")
            case tree.NEGATE:
                return self.known(node.args, lambda value: f"-{value}")
            case tree.CAST:
                return self.cast(node.args[0], node.type)
            case tree.CALL:
                return self.known(node.args, lambda *values: f"f_{node.value}({', '.join(values)})")
            case tree.CASE:
                return self.case(node)
            case tree.COALESCE:
                return self.first(list(node.args))
            case tree.LEAST | tree.GREATEST:
                word = "min" if node.op == tree.LEAST else "max"
                return self.known(node.args, lambda *values: f"{word}({', '.join(values)})")
            case tree.CONCAT_WS:
                parts = ", ".join(self.value(part) for part in node.args)
                return f"({node.value!r}).join([one for one in ({parts},) if one is not None])"
            case tree.IS_NULL:
                return f"({self.true(node)})"
        return f"(True if {self.true(node)} else False if {self.false(node)} else None)"

    def true(self, node: Node) -> str:
        """A Python condition that holds where the expression is true."""
        match node.op:
            case tree.AND:
                return "(" + " and ".join(self.true(part) for part in node.args) + ")"
            case tree.OR:
                return "(" + " or ".join(self.true(part) for part in node.args) + ")"
            case tree.NOT:
                return self.false(node.args[0])
            case tree.IS_NULL:
                missing, _ = self.bound(node.args[0])
                return f"({missing} is None)" if missing else "False"
            case tree.CONSTANT:
                return str(node.value is True)
            case tree.IN:
                return self.within(node, "in")
        if node.op in tree.COMPARISONS:
            return self.compared(node, PYTHON.get(node.op, node.op))
        return f"({self.value(node)} is True)"

    def false(self, node: Node) -> str:
        """A Python condition that holds where the expression is false, which is not where it is unknown."""
        match node.op:
            case tree.AND:
                return "(" + " or ".join(self.false(part) for part in node.args) + ")"
            case tree.OR:
                return "(" + " and ".join(self.false(part) for part in node.args) + ")"
            case tree.NOT:
                return self.true(node.args[0])
            case tree.IS_NULL:
                missing, _ = self.bound(node.args[0])
                return f"({missing} is not None)" if missing else "True"
            case tree.CONSTANT:
                return str(node.value is False)
            case tree.IN:
                return self.within(node, "not in")
        if node.op in tree.COMPARISONS:
            return self.compared(node, INVERSE[node.op])
        return f"({self.value(node)} is False)"

    def within(self, node: Node, word: str) -> str:
        value, *options = node.args
        missing, name = self.bound(value)
        test = f"{name} {word} ({', '.join(repr(option.value) for option in options)},)"
        return f"({missing} is not None and {test})" if missing else f"({test})"

    def compared(self, node: Node, sign: str) -> str:
        bound = [self.bound(part) for part in node.args]
        (_, left), (_, right) = bound
        return "(" + " and ".join([*(f"{one} is not None" for one, _ in bound if one), f"{left} {sign} {right}"]) + ")"

    def bound(self, node: Node) -> tuple[str, str]:
        """What to look at to see whether the value is missing (empty where it cannot be), and the name it then has."""
        node = _same(node)
        if node.op == tree.CONSTANT and node.value is not None:
            return "", f"({node.value!r})"
        if node.op == tree.NAME:
            return self.names[node.value], self.names[node.value]
        name = self.new()
        return f"({name} := {self.value(node)})", name

    def new(self) -> str:
        """A name for a value that is looked at and then used."""
        self.count += 1
        return f"t{self.count}"

    def known(self, args: tuple[Node, ...], write: Any) -> str:
        """What `write` makes of the values, None where one of them is missing."""
        bound = [self.bound(part) for part in args]
        text = write(*(name for _, name in bound))
        missing = " or ".join(f"{one} is None" for one, _ in bound if one)
        return f"(None if {missing} else {text})" if missing else f"({text})"

    def first(self, args: list[Node]) -> str:
        if len(args) == 1:
            return self.value(args[0])
        missing, name = self.bound(args[0])
        return f"({name} if {missing} is not None else {self.first(args[1:])})" if missing else name

    def case(self, node: Node) -> str:
        pairs = zip(node.args[:-1:2], node.args[1::2], strict=True)
        text = "".join(f"{self.value(then)} if {self.true(when)} else " for when, then in pairs)
        return f"({text}{self.value(node.args[-1])})"

    def cast(self, node: Node, to: Type) -> str:
        given, bound = node.type, numbers.limit(to)
        if to == QUOTIENT:
            word = "double" if given.digits <= numbers.SHORT else "wide_double"
            return self.known((node,), lambda value: f"{word}({value}, {10**given.places})")
        if given == QUOTIENT:
            if to.kind == "integer":
                return self.known((node,), lambda value: f"double_to_integer({value})")
            return self.known((node,), lambda value: f"from_double({value}, {10**to.places}, {bound})")
        more, fewer = 10 ** max(to.places - given.places, 0), 10 ** max(given.places - to.places, 0)
        if tree.fits(given, to):
            return self.known((node,), lambda value: f"{value} * {more}") if more > 1 else self.value(node)
        new = self.new()

        def fitting(value: str) -> str:
            scaled = f"rounded({value}, {fewer})" if fewer > 1 else f"{value} * {more}" if more > 1 else value
            least = -bound if to.kind == "integer" else 1 - bound
            return f"({new} if {least} <= ({new} := {scaled}) < {bound} else None)"

        return self.known((node,), fitting)


def _same(node: Node) -> Node:
    """The node without casts that change nothing about a whole number."""
    while (
        node.op == tree.CAST
        and tree.fits(node.args[0].type, node.type)
        and node.args[0].type.places == node.type.places
    ):
        [node] = node.args
    return node
