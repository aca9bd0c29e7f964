"""The language of expressions: a part of SQL, read by sqlglot, checked here, written out as SQL and as Python.

Names, numbers, 'text', true, false, null, date '2020-04-06', timestamp '2020-04-06 09:30:00'; + - * /; = <> < <= > >=;
and, or, not, in (...), between, is null; case; cast(... as ...); coalesce, nullif, least, greatest, concat_ws, divide
and the functions of `mesh.features.vocabulary`. NULL is what SQL makes of it. Where SQL leaves something to the engine,
or stops the whole table for one row, the language has its own law:

- `+ - *` are exact: the result has as many digits as it can need; an expression that can need more than 38 is refused.
- `/` gives an unrounded quotient, NULL for a division by zero. It can be compared or cast, and is rounded by the column
  that it fills. `divide(a, b)` rounds both and the result to six decimals, for money in steps.
- A value that does not fit the type it is cast to, or the column it fills, is NULL. Halves are rounded away from zero.
- `least` and `greatest` of something unknown are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from mesh.contract.reading import did_you_mean
from mesh.errors import ProjectError
from mesh.features import tree
from mesh.features.definition import Written
from mesh.features.numbers import encoder
from mesh.features.tree import NULL, Node, Unfit, cast, common, number
from mesh.features.types import ALLOWED, BOOLEAN, DATE, NOTHING, QUOTIENT, TEXT, TIMESTAMP, Type, decimal, type_of
from mesh.features.vocabulary import FUNCTIONS

LONGEST = 4000
"""Characters of an expression: the parser calls itself for every bracket."""
DEEPEST = 40
"""Brackets, cases and operators within each other; Python's own parser has a limit too."""
STEP = decimal(18, 6)
BUILT_IN = ("coalesce", "nullif", "least", "greatest", "concat_ws", "divide")
MARK = "mesh_"
"""Stands before the name of a function, so that sqlglot's own idea of it never comes in."""
STRUCTURE = ("and", "or", "not", "in", "is", "null", "between", "case", "when", "then", "else", "end", "true", "false")
COMPARING: dict[type[exp.Expr], str] = {
    exp.EQ: tree.EQUAL, exp.NEQ: tree.NOT_EQUAL, exp.LT: tree.LESS, exp.LTE: tree.LESS_OR_EQUAL, exp.GT: tree.MORE,
    exp.GTE: tree.MORE_OR_EQUAL,
}  # fmt: skip
RECKONING: dict[type[exp.Expr], str] = {exp.Add: tree.ADD, exp.Sub: tree.SUBTRACT, exp.Mul: tree.MULTIPLY}
WORDS = "names, numbers, 'text', + - * /, comparisons, and, or, not, in, between, is null, case, cast, functions"


class ExpressionError(ValueError):
    """An expression cannot be taken; `what` and `allowed` are for the error that names its place."""

    def __init__(self, what: str, allowed: str = WORDS) -> None:
        self.what, self.allowed = what, allowed
        super().__init__(f"{what}. Allowed: {allowed}")


def read(written: Written, names: Mapping[str, Type], to: Type | None = None) -> Node:
    """The checked form of an expression over `names`; names of lookups have a dot.

    Args:
        to: the type that it must have. A number or quotient is made one of this type.

    Raises:
        ProjectError: it cannot be taken; the message names file, line and field.
    """
    try:
        node = parse(written.text, names)
        return node if to is None else filling(node, to)
    except ExpressionError as error:
        raise ProjectError(
            f"{error.what}.", file=written.file, line=written.line, field=written.place, allowed=error.allowed
        ) from None


def parse(text: str, names: Mapping[str, Type]) -> Node:
    """The checked form of a text.

    Raises:
        ExpressionError: it cannot be taken.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"has {len(text)} characters", f"at most {LONGEST}")
    try:
        parsed = Parser().parse(_marked(Tokenizer().tokenize(text), names), text)
    except (SqlglotError, RecursionError):
        raise ExpressionError("is no expression") from None
    if len(parsed) != 1 or parsed[0] is None:
        raise ExpressionError("is not one expression")
    return _Checker(names).node(parsed[0], 0)


def filling(node: Node, to: Type) -> Node:
    """The node as the value of a column of this type.

    Raises:
        ExpressionError: it is of another kind.
    """
    if node.type in (to, NOTHING) or (to.numeric and (node.type.numeric or node.type == QUOTIENT)):
        return cast(node, to)
    raise ExpressionError(f"is {node.type}", str(to))


def _marked(tokens: list[Token], names: Mapping[str, Type]) -> list[Token]:
    """The tokens, functions and names marked as such: sqlglot takes `list`, `date` or `hour` for words of its own."""
    parts = {part for name in names for part in name.split(".")} - set(STRUCTURE)
    found = []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        kind, text = token.token_type, token.text
        following = None if after is None else after.token_type
        if following == TokenType.L_PAREN and text.lower() in (*FUNCTIONS, *BUILT_IN):
            kind, text = TokenType.VAR, MARK + text.lower()
        elif (
            text in parts
            and kind not in (TokenType.STRING, TokenType.NUMBER)
            and following not in (TokenType.STRING, TokenType.L_PAREN)
            and (before is None or before.token_type != TokenType.ALIAS)
        ):
            kind = TokenType.IDENTIFIER
        found.append(Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end))
    return found


class _Checker:
    def __init__(self, names: Mapping[str, Type]) -> None:
        self.names = names

    def node(self, node: exp.Expr, depth: int) -> Node:
        if depth > DEEPEST:
            raise ExpressionError(
                f"has more than {DEEPEST} parts within each other", "a step of its own under `values`"
            )
        below = depth + 1
        match node:
            case exp.Paren():
                return self.node(node.this, below)
            case exp.Null():
                return NULL
            case exp.Boolean():
                return Node(tree.CONSTANT, BOOLEAN, value=bool(node.this))
            case exp.Literal():
                return _literal(node)
            case exp.Column():
                return self.name(node)
            case exp.Neg():
                return self.negated(node, below)
            case exp.Add() | exp.Sub() | exp.Mul():
                return _reckoned(RECKONING[type(node)], self.node(node.this, below), self.node(node.expression, below))
            case exp.Div():
                return _quotient(self.node(node.this, below), self.node(node.expression, below))
            case exp.And() | exp.Or():
                op = tree.AND if isinstance(node, exp.And) else tree.OR
                # A chain of `and` is one part, however long.
                parts = tuple(self.truth(part, below) for part in node.flatten())
                return Node(op, BOOLEAN, parts)
            case exp.Not():
                return Node(tree.NOT, BOOLEAN, (self.truth(node.this, below),))
            case exp.Is() if isinstance(node.expression, exp.Null):
                return Node(tree.IS_NULL, BOOLEAN, (self.node(node.this, below),))
            case exp.In() if node.expressions:
                return self.within(node, below)
            case exp.Between():
                value = self.node(node.this, below)
                low, high = self.node(node.args["low"], below), self.node(node.args["high"], below)
                return tree.all_of(
                    _compared(tree.MORE_OR_EQUAL, value, low), _compared(tree.LESS_OR_EQUAL, value, high)
                )
            case exp.Case():
                return self.case(node, below)
            case exp.Cast() if type(node) is exp.Cast:
                return self.cast(node, below)
            case exp.Anonymous() if node.name.startswith(MARK):
                return self.call(node.name.removeprefix(MARK), [self.node(one, below) for one in node.expressions])
            case exp.Func():
                name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
                known = sorted((*FUNCTIONS, *BUILT_IN))
                raise ExpressionError(
                    f"calls {name}, which is no function here{did_you_mean(name, known)}", ", ".join(known)
                )
        for kind, op in COMPARING.items():
            if isinstance(node, kind):
                return _compared(op, self.node(node.this, below), self.node(node.expression, below))
        raise ExpressionError(f"holds a part that is not understood ({node.key})")

    def name(self, node: exp.Column) -> Node:
        parts = [part.name for part in node.parts]
        name = ".".join(parts)
        kind = self.names.get(name)
        if kind is None:
            raise ExpressionError(f"names {name}{did_you_mean(name, self.names)}", ", ".join(self.names))
        return Node(tree.NAME, kind, value=name.replace(".", "_"))

    def truth(self, node: exp.Expr, depth: int) -> Node:
        found = self.node(node, depth)
        if found.type not in (BOOLEAN, NOTHING):
            raise ExpressionError(f"takes {found.type} for a condition", "a comparison, or a boolean")
        return cast(found, BOOLEAN)

    def negated(self, node: exp.Neg, depth: int) -> Node:
        value = self.node(node.this, depth)
        if not value.type.numeric:
            raise ExpressionError(f"negates {value.type}", "a number")
        if value.op == tree.CONSTANT:
            return Node(tree.CONSTANT, value.type, value=-value.value)
        # The least 32-bit integer has no counterpart.
        return Node(tree.NEGATE, _plain(value.type), (cast(value, _plain(value.type)),))

    def within(self, node: exp.In, depth: int) -> Node:
        value = self.node(node.this, depth)
        options = [self.node(one, depth) for one in node.expressions]
        if any(option.op != tree.CONSTANT or option.value is None for option in options):
            raise ExpressionError("looks for something that is no constant", "in ('a', 'b'), in (1, 2)")
        try:
            kind = common(value.type, *(option.type for option in options))
        except Unfit as error:
            raise ExpressionError(f"compares {error}", "values of one type") from None
        if kind == QUOTIENT:
            raise ExpressionError("looks for a quotient in a list", "cast(... as decimal(12, 4))")
        return Node(tree.IN, BOOLEAN, (cast(value, kind), *(cast(option, kind) for option in options)))

    def case(self, node: exp.Case, depth: int) -> Node:
        subject = None if node.this is None else self.node(node.this, depth)
        conditions, values = [], []
        for branch in node.args["ifs"]:
            if subject is None:
                conditions.append(self.truth(branch.this, depth))
            else:
                conditions.append(_compared(tree.EQUAL, subject, self.node(branch.this, depth)))
            values.append(self.node(branch.args["true"], depth))
        default = node.args.get("default")
        values.append(NULL if default is None else self.node(default, depth))
        return chosen(conditions, values)

    def cast(self, node: exp.Cast, depth: int) -> Node:
        name = node.args["to"].sql()
        to = type_of(name)
        if to is None:
            raise ExpressionError(f"casts to {name.lower()}, which is no type here", ALLOWED)
        value = self.node(node.this, depth)
        if value.op == tree.CONSTANT and value.type == TEXT and to in (DATE, TIMESTAMP):
            return _moment(str(value.value), to)
        if (value.type, to) == (TIMESTAMP, DATE):
            return self.call("date", [value])
        try:
            return filling(value, to)
        except ExpressionError:
            raise ExpressionError(f"casts {value.type} to {to}", "numbers to numbers, a timestamp to a date") from None

    def call(self, name: str, args: list[Node]) -> Node:
        if name in BUILT_IN:
            return _built_in(name, args)
        function = FUNCTIONS[name]
        takes = ", ".join(" or ".join(map(str, types)) for types in function.takes)
        fits = len(args) == len(function.takes) and all(
            arg.type in (*types, NOTHING) for arg, types in zip(args, function.takes, strict=True)
        )
        if not fits:
            raise ExpressionError(f"calls {name} with {', '.join(str(arg.type) for arg in args)}", f"{name}({takes})")
        given = tuple(cast(arg, types[0]) if arg.type == NOTHING else arg
                      for arg, types in zip(args, function.takes, strict=True))  # fmt: skip
        return Node(tree.CALL, function.gives, given, name)


def chosen(conditions: list[Node], values: list[Node]) -> Node:
    """A case: the value of the first condition that holds, else the last value.

    Raises:
        ExpressionError: the values are of different kinds.
    """
    try:
        kind = common(*(value.type for value in values))
    except Unfit as error:
        raise ExpressionError(f"gives {error}", "values of one type") from None
    pairs = [part for pair in zip(conditions, values, strict=False) for part in pair]
    return Node(tree.CASE, kind, tuple(cast(part, kind) if place % 2 or place == len(pairs) else part
                                       for place, part in enumerate([*pairs, values[-1]])))  # fmt: skip


def _built_in(name: str, args: list[Node]) -> Node:
    least = {"coalesce": 2, "least": 2, "greatest": 2, "concat_ws": 2, "nullif": 2, "divide": 2}[name]
    most = 2 if name in ("nullif", "divide") else 100
    if not least <= len(args) <= most:
        raise ExpressionError(f"calls {name} with {len(args)} values", f"{least} to {most}" if most > 2 else "2")
    if name == "nullif":
        equal = _compared(tree.EQUAL, *args)
        return Node(tree.CASE, args[0].type, (equal, cast(NULL, args[0].type), args[0]))
    if name == "divide":
        return cast(_quotient(*(filling(arg, STEP) for arg in args)), STEP)
    if name == "concat_ws":
        separator, *parts = args
        if separator.op != tree.CONSTANT or any(part.type not in (TEXT, NOTHING) for part in args):
            raise ExpressionError("joins what is no text", "concat_ws(',', text, text)")
        return Node(tree.CONCAT_WS, TEXT, tuple(cast(part, TEXT) for part in parts), separator.value)
    try:
        kind = common(*(arg.type for arg in args))
    except Unfit as error:
        raise ExpressionError(f"takes {name} of {error}", "values of one type") from None
    if name != "coalesce" and not (kind.numeric or kind in (DATE, TIMESTAMP, TEXT)):
        raise ExpressionError(f"takes {name} of {kind}", "numbers, dates, timestamps, texts")
    return Node(name, kind, tuple(cast(arg, kind) for arg in args))


def _plain(kind: Type) -> Type:
    return decimal(kind.digits, kind.places)


def _reckoned(op: str, left: Node, right: Node) -> Node:
    for side in (left, right):
        if not side.type.numeric:
            found = "a quotient, which is not rounded yet" if side.type == QUOTIENT else str(side.type)
            raise ExpressionError(f"reckons {op} with {found}", "numbers; round a quotient first: divide(a, b), cast")
    try:
        if op == tree.MULTIPLY:
            kind = number(left.type.digits + right.type.digits, left.type.places + right.type.places)
            return Node(op, kind, (left, right))
        wider = common(_plain(left.type), _plain(right.type))
        kind = number(wider.digits + 1, wider.places)
    except Unfit as error:
        raise ExpressionError(f"can give {error}", "38 digits at most: cast a part to fewer first") from None
    return Node(op, kind, (cast(left, kind), cast(right, kind)))


def _quotient(left: Node, right: Node) -> Node:
    for side in (left, right):
        if not side.type.numeric:
            raise ExpressionError(f"divides with {side.type}", "numbers; round a quotient first: divide(a, b), cast")
    return Node(tree.DIVIDE, QUOTIENT, (cast(left, QUOTIENT), cast(right, QUOTIENT)))


def _compared(op: str, left: Node, right: Node) -> Node:
    try:
        kind = common(left.type, right.type)
    except Unfit as error:
        raise ExpressionError(f"compares {error}", "values of one type") from None
    if kind == NOTHING or NULL in (left, right):
        raise ExpressionError("compares with null, which is never true", "is null, is not null")
    if kind in (BOOLEAN,) or (kind.kind == "words" and op not in (tree.EQUAL, tree.NOT_EQUAL)):
        raise ExpressionError(f"compares {kind}", "numbers, texts, dates, timestamps")
    return Node(op, BOOLEAN, (cast(left, kind), cast(right, kind)))


def _literal(node: exp.Literal) -> Node:
    text = str(node.this)
    if node.is_string:
        if "\0" in text:
            raise ExpressionError("holds a text with a character that no database keeps", "text")
        return Node(tree.CONSTANT, TEXT, value=text)
    whole, _, places = text.partition(".")
    if not (whole + places).isdigit() or not (whole + places).isascii():
        raise ExpressionError(f"holds {text}", "numbers such as 14, 0.8")
    digits = (whole + places).lstrip("0")
    try:
        return Node(tree.CONSTANT, number(max(len(digits), len(places)), len(places)), value=int(whole + places))
    except Unfit:
        raise ExpressionError("holds a number of more than 38 digits", "at most 38 digits") from None


def _moment(text: str, to: Type) -> Node:
    try:
        value: Any = date.fromisoformat(text) if to == DATE else datetime.fromisoformat(text)
    except ValueError:
        raise ExpressionError(f"holds '{text}', which is no {to}", "such as date '2020-04-06'") from None
    return Node(tree.CONSTANT, to, value=encoder(to)(value))
