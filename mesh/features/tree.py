"""A checked expression: a tree in which every part has its type. SQL and Python are both written from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mesh.features.types import BOOLEAN, INTEGER, NOTHING, QUOTIENT, Type, decimal

NAME, CONSTANT, CALL, CAST = "name", "constant", "call", "cast"
ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE = "+", "-", "*", "/", "negate"
EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, MORE, MORE_OR_EQUAL = "=", "<>", "<", "<=", ">", ">="
AND, OR, NOT, IS_NULL, IN = "and", "or", "not", "is null", "in"
CASE, COALESCE, LEAST, GREATEST, CONCAT_WS = "case", "coalesce", "least", "greatest", "concat_ws"

ARITHMETIC = (ADD, SUBTRACT, MULTIPLY)
COMPARISONS = (EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, MORE, MORE_OR_EQUAL)
BOOLEANS = (*COMPARISONS, AND, OR, NOT, IS_NULL, IN)


@dataclass(frozen=True)
class Node:
    """One part of an expression.

    Attributes:
        value: the name of a name or call, the value of a constant (as `mesh.features.types` has it), the separator of
            `concat_ws`.
        args: of a case: condition and value in turn, then the last value.
    """

    op: str
    type: Type
    args: tuple[Node, ...] = ()
    value: Any = None

    @property
    def names(self) -> Iterator[str]:
        """Every name in it, as often as it stands there."""
        if self.op == NAME:
            yield str(self.value)
        for part in self.args:
            yield from part.names


NULL = Node(CONSTANT, NOTHING)
TRUE = Node(CONSTANT, BOOLEAN, value=True)


class Unfit(ValueError):
    """Two types that do not go together."""


def common(*types: Type) -> Type:
    """The narrowest type that holds all of these exactly.

    Raises:
        Unfit: there is none.
    """
    kinds = [kind for kind in dict.fromkeys(types) if kind != NOTHING]
    if len(kinds) < 2:
        return kinds[0] if kinds else NOTHING
    if any(kind == QUOTIENT for kind in kinds) and all(kind.numeric or kind == QUOTIENT for kind in kinds):
        return QUOTIENT
    if not all(kind.numeric for kind in kinds):
        raise Unfit(" and ".join(map(str, kinds)))
    if INTEGER in kinds and all(kind == INTEGER or fits(kind, INTEGER) for kind in kinds):
        return INTEGER
    places = max(kind.places for kind in kinds)
    whole = max(kind.digits - kind.places for kind in kinds)
    return number(whole + places, places)


def number(digits: int, places: int) -> Type:
    """A decimal of at least one digit; Unfit where it has more than there can be."""
    try:
        return decimal(max(digits, 1), places)
    except ValueError:
        raise Unfit(f"a number of {digits} digits") from None


def cast(node: Node, to: Type) -> Node:
    """The node as a value of another type, itself where it has that type already."""
    if node.type == to:
        return node
    if node.op == CONSTANT and node.value is None:
        return Node(CONSTANT, to)
    if node.op == CONSTANT and node.type.numeric and fits(node.type, to):
        return Node(CONSTANT, to, value=node.value * 10 ** (to.places - node.type.places))
    return Node(CAST, to, (node,))


def fits(given: Type, to: Type) -> bool:
    """Whether every number of one type is one of the other."""
    if not (given.numeric and to.numeric):
        return False
    if to.kind == "integer":
        return given == to or (given.places == 0 and given.digits < to.digits)
    return given.places <= to.places and given.digits - given.places <= to.digits - to.places


def all_of(*conditions: Node | None) -> Node:
    """Whether all of these hold; those that are None ask nothing."""
    asked = tuple(one for one in conditions if one is not None)
    return TRUE if not asked else asked[0] if len(asked) == 1 else Node(AND, BOOLEAN, asked)
