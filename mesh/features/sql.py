"""Checked expressions as SQL.

Every part is written so that the engine has no choice: numbers are cast to the types that the language gives them, what
may not fit goes through `try_cast`, and a division by zero is NULL. DuckDB's own arithmetic would stop the whole table
where one row overflows.
"""

from __future__ import annotations

from mesh.features import tree
from mesh.features.numbers import SHORT, decoder
from mesh.features.tree import Node
from mesh.features.types import NOTHING, QUOTIENT, Type
from mesh.features.vocabulary import DUCKDB, FUNCTIONS

NAMES = {
    DUCKDB: {"text": "varchar", "quotient": "double", "words": "varchar[]", "nothing": "varchar"},
    "spark": {"text": "string", "quotient": "double", "words": "array<string>", "nothing": "string"},
}


def to_sql(node: Node, dialect: str = DUCKDB) -> str:
    """The expression as SQL; a name is the column of its name, with `_` for the dot of a lookup."""
    return _Writer(dialect).text(node)


def typed_sql(node: Node, dialect: str = DUCKDB) -> str:
    """The same, as a column that has exactly the type of the node."""
    writer = _Writer(dialect)
    exact = node.op in (tree.CAST, tree.CALL, tree.NAME) or not node.type.numeric
    return writer.text(node) if exact and not _bare_null(node) else writer.forced(node, node.type)


def _bare_null(node: Node) -> bool:
    return node.op == tree.CONSTANT and node.value is None


class _Writer:
    def __init__(self, dialect: str) -> None:
        self.dialect = dialect

    def type(self, kind: Type) -> str:
        return NAMES[self.dialect].get(kind.kind, str(kind))

    def forced(self, node: Node, kind: Type) -> str:
        """The value as one of exactly this type, which it is known to fit."""
        if node.type == kind and node.op in (tree.NAME, tree.CAST, tree.CALL):
            return self.text(node)
        return f"cast({self.text(node)} as {self.type(kind)})"

    def text(self, node: Node) -> str:
        match node.op:
            case tree.NAME:
                return str(node.value)
            case tree.CONSTANT:
                return self.constant(node)
            case tree.CALL:
                template = FUNCTIONS[node.value].sql[self.dialect]
                return template.format(*(self.text(part) for part in node.args))
            case tree.CAST:
                return self.cast(node.args[0], node.type)
            case tree.ADD | tree.SUBTRACT:
                left, right = (self.forced(part, node.type) for part in node.args)
                return f"({left} {node.op} {right})"
            case tree.MULTIPLY:
                return self.product(node)
            case tree.DIVIDE:
                left, right = (self.text(part) for part in node.args)
                return f"({left} / nullif({right}, 0))"
            case tree.NEGATE:
                return f"(-{self.forced(node.args[0], node.type)})"
            case tree.AND | tree.OR:
                return "(" + f" {node.op} ".join(self.text(part) for part in node.args) + ")"
            case tree.NOT:
                return f"(not {self.text(node.args[0])})"
            case tree.IS_NULL:
                return f"({self.text(node.args[0])} is null)"
            case tree.IN:
                value, *options = (self.text(part) for part in node.args)
                return f"({value} in ({', '.join(options)}))"
            case tree.CASE:
                return self.case(node)
            case tree.COALESCE:
                return f"coalesce({', '.join(self.alike(part, node.type) for part in node.args)})"
            case tree.LEAST | tree.GREATEST:
                return self.extreme(node)
            case tree.CONCAT_WS:
                return f"concat_ws({_quoted(node.value)}, {', '.join(self.text(part) for part in node.args)})"
        left, right = (self.alike(part, part.type) for part in node.args)
        return f"({left} {node.op} {right})"

    def alike(self, node: Node, kind: Type) -> str:
        """The value so that values beside it have its type: what the engine reckoned may be wider than what it is."""
        simple = node.op in (tree.NAME, tree.CONSTANT, tree.CAST, tree.CALL)
        return self.text(node) if simple or not kind.numeric else self.forced(node, kind)

    def constant(self, node: Node) -> str:
        if node.value is None:
            return "null" if node.type == NOTHING else f"cast(null as {self.type(node.type)})"
        match node.type.kind:
            case "boolean":
                return "true" if node.value else "false"
            case "text":
                return _quoted(node.value)
            case "date":
                return f"date '{decoder(node.type)(node.value).isoformat()}'"
            case "timestamp":
                return f"timestamp '{decoder(node.type)(node.value).isoformat(' ')}'"
            case "integer":
                return str(node.value)
        return f"{decoder(node.type)(node.value):f}"

    def cast(self, node: Node, to: Type) -> str:
        if to == QUOTIENT:
            # How a double is made of a decimal depends on its digits.
            return f"cast({self.forced(node, node.type)} as {self.type(to)})"
        if tree.fits(node.type, to):
            return f"cast({self.text(node)} as {self.type(to)})"
        return f"try_cast({self.text(node)} as {self.type(to)})"

    def product(self, node: Node) -> str:
        kinds = [part.type for part in node.args]
        left, right = (tree.number(kind.digits, kind.places) for kind in kinds)
        # Of two decimals of 64 bits DuckDB keeps the product in 64 bits too, where one that needs more is an error.
        if node.type.digits > SHORT and max(left.digits, right.digits) <= SHORT:
            left = tree.number(SHORT + 1, left.places)
        first, second = (self.forced(part, kind) for part, kind in zip(node.args, (left, right), strict=True))
        return f"({first} * {second})"

    def case(self, node: Node) -> str:
        pairs = zip(node.args[:-1:2], node.args[1::2], strict=True)
        branches = " ".join(f"when {self.text(when)} then {self.alike(then, node.type)}" for when, then in pairs)
        default = node.args[-1]
        otherwise = "" if _bare_null(default) else f" else {self.alike(default, node.type)}"
        return f"case {branches}{otherwise} end"

    def extreme(self, node: Node) -> str:
        # Engines differ in whether they skip what is missing.
        parts = [self.alike(part, node.type) for part in node.args]
        known = " and ".join(
            f"{part} is not null" for part, one in zip(parts, node.args, strict=True) if one.op != tree.CONSTANT
        )
        found = f"{node.op}({', '.join(parts)})"
        return f"case when {known} then {found} end" if known else found


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
