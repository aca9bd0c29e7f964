"""A source: how one kind of delivered file becomes rows of a raw table, read from its YAML file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from mesh.access import KINDS
from mesh.errors import ProjectError

FORMATS = ("csv", "jsonl", "parquet")
ENCODINGS = ("utf-8", "latin-1", "utf-16")
NAME = re.compile(r"[a-z][a-z0-9_]*")
DATE_DIRECTIVES = "aAbBdfHIjmMpSyYz"
# Counts up when the meaning of a mapping changes in code, so that files are loaded anew.
MAPPING_VERSION = 1

SOURCE_KEYS = ("source", "into", "files", "format", "encoding", "delimiter", "required", "allow_empty", "columns")
COLUMN_KEYS = ("from", "value", "row_id", "format", "map", "join", "identifier", "keep", "redact", "optional")


@dataclass(frozen=True)
class Column:
    """One canonical column and where its values come from: delivered columns, a constant, or the row itself."""

    name: str
    delivered: tuple[str, ...] = ()
    value: str | None = None
    row_id: bool = False
    date_format: str | None = None
    lookup: tuple[tuple[str, str], ...] = ()
    join: str | None = None
    identifier: str | None = None
    keep_cipher: bool = False
    redact: bool = False
    optional: bool = False

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """The columns it fills in the raw table: itself, or token, status and ciphertext of an identifier."""
        if self.identifier is None:
            return (self.name,)
        kept = (f"{self.name}_cipher",) if self.keep_cipher else ()
        return (f"{self.name}_token", f"{self.name}_status", *kept)


@dataclass(frozen=True)
class Source:
    """One kind of delivered file. `files` is a glob below the landing directory; `into` names the raw table."""

    name: str
    domain: str
    into: str
    files: str
    format: str
    columns: tuple[Column, ...]
    path: Path
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    encoding: str = "utf-8"
    delimiter: str = ","
    required: bool = True
    allow_empty: bool = False

    @property
    def delivered(self) -> tuple[str, ...]:
        """The columns it needs from a file, each once, in the order of the mapping."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.delivered))

    @property
    def needed(self) -> tuple[str, ...]:
        """Those of them that a file must have: a column is missing from a file only where `optional` says it may."""
        names = (name for column in self.columns if not column.optional for name in column.delivered)
        return tuple(dict.fromkeys(names))

    @property
    def mapping(self) -> str:
        """A digest of everything that decides how a file becomes rows; comments do not count."""
        told = [MAPPING_VERSION, self.into, self.format, self.encoding, self.delimiter]
        # Whether a column may be missing changes no row of a file that was loaded.
        columns = [{k: v for k, v in asdict(column).items() if k != "optional"} for column in self.columns]
        return hashlib.sha256(json.dumps([told, columns], sort_keys=True).encode()).hexdigest()[:16]


def load_source(path: Path) -> Source:
    """Read a source file; its domain is the folder above `sources/`.

    Raises:
        ProjectError: the file is wrong; the message names the line and the field, and what is allowed there.
    """
    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError("cannot be read.", file=path) from error
    except (YAMLError, UnicodeDecodeError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        problem = (error.problem if isinstance(error, MarkedYAMLError) else None) or "it is not UTF-8 text"
        line = mark.line + 1 if mark else None
        raise ProjectError(f"not YAML: {' '.join(problem.split())}.", file=path, line=line) from error
    return _Reader(path).source(tree)


class _Reader:
    """Turns YAML nodes into a Source; every complaint carries the line of its key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def source(self, tree: Any) -> Source:
        if not isinstance(tree, Mapping):
            raise ProjectError("There is no source in this file.", file=self.path, allowed=", ".join(SOURCE_KEYS))
        self.known(tree, SOURCE_KEYS, "")
        columns = self.get(tree, "columns", "", required=True)
        if not isinstance(columns, Mapping) or not columns:
            self.fail(tree, "columns", "", "must map at least one canonical column.", "canonical: delivered column")
        format_ = self.choice(tree, "format", FORMATS)
        if format_ != "csv" and "delimiter" in tree:
            self.fail(tree, "delimiter", "", f"means nothing for {format_}.")
        if format_ == "parquet" and "encoding" in tree:
            self.fail(tree, "encoding", "", f"means nothing for {format_}.")
        delimiter = self.text(tree, "delimiter", "", default=",")
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            self.fail(tree, "delimiter", "", "must be one character.", 'such as ",", ";", "|" or "\\t"')
        read = tuple(self.column(columns, name) for name in columns)
        self.distinct(columns, read)
        return Source(
            name=self.name(tree, "source"),
            domain=self.path.resolve().parent.parent.name,
            into=self.name(tree, "into"),
            files=self.glob(tree),
            format=format_,
            columns=read,
            path=self.path,
            lines={
                **{key: self.line(tree, key) or 1 for key in tree},
                **{f"columns.{name}": self.line(columns, name) or 1 for name in columns},
            },
            encoding=self.choice(tree, "encoding", ENCODINGS, default="utf-8"),
            delimiter=delimiter,
            required=self.flag(tree, "required", "", default=True),
            allow_empty=self.flag(tree, "allow_empty", "", default=False),
        )

    def column(self, columns: Any, name: Any) -> Column:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.fail(columns, name, "columns.", "is no name of a column.", "lower case letters, digits and _")
        told, at = columns[name], f"columns.{name}."
        if isinstance(told, str) and told:
            return Column(name, (str(told),))
        if not isinstance(told, Mapping):
            self.fail(columns, name, "columns.", "must name a delivered column, or say how to make the values.")
        self.known(told, COLUMN_KEYS, at)
        origins = [key for key in ("from", "value", "row_id") if key in told]
        if len(origins) != 1:
            self.fail(columns, name, "columns.", "needs exactly one origin.", "from, value, row_id")
        if origins != ["from"] and len(told) > 1:
            extra = next(key for key in told if key not in origins)
            self.fail(told, extra, at, f"does not go with {origins[0]}.")
        if origins == ["value"]:
            return Column(name, value=self.text(told, "value", at))
        if origins == ["row_id"]:
            if not self.flag(told, "row_id", at, default=True):
                self.fail(told, "row_id", at, "must be true.", "true")
            return Column(name, row_id=True)
        column = Column(
            name,
            delivered=self.delivered(told, at),
            date_format=self.date_format(told, at),
            lookup=self.lookup(told, at),
            join=self.text(told, "join", at) if "join" in told else None,
            identifier=self.choice(told, "identifier", KINDS, at) if "identifier" in told else None,
            keep_cipher="keep" in told and self.choice(told, "keep", ("ciphertext",), at) == "ciphertext",
            redact=self.flag(told, "redact", at, default=False),
            optional=self.flag(told, "optional", at, default=False),
        )
        self.together(told, at, column)
        return column

    def together(self, told: Any, at: str, column: Column) -> None:
        ways = [key for key in ("format", "map", "identifier", "redact") if key in told]
        if len(ways) > 1:
            self.fail(told, ways[1], at, f"does not go with {ways[0]}.")
        if "keep" in told and column.identifier is None:
            self.fail(told, "keep", at, "is only for an identifier.")
        if column.identifier == "bank_account" and len(column.delivered) > 2:
            allowed = "[sort code, account number], or one column with both"
            self.fail(told, "from", at, "names too many columns.", allowed)
        if "join" in told and (len(column.delivered) == 1 or column.identifier):
            self.fail(told, "join", at, "needs several plain columns in `from`.")
        if len(column.delivered) > 1 and column.join is None and column.identifier != "bank_account":
            self.fail(told, "from", at, "names several columns; say what goes between them.", 'join: " "')
        if len(column.delivered) > 1 and (column.date_format or column.lookup):
            self.fail(told, ways[0], at, "needs one column in `from`.")

    def distinct(self, columns: Any, read: Sequence[Column]) -> None:
        seen: dict[str, str] = {}
        for column in read:
            for raw in column.raw_columns:
                if raw in seen:
                    what = f"fills {raw}, which columns.{seen[raw]} fills already."
                    self.fail(columns, column.name, "columns.", what)
                seen[raw] = column.name

    def delivered(self, told: Any, at: str) -> tuple[str, ...]:
        value = told["from"]
        names = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            self.fail(told, "from", at, "must be the name of a delivered column, or a list of names.")
        return tuple(str(name) for name in names)

    def date_format(self, told: Any, at: str) -> str | None:
        if "format" not in told:
            return None
        text = self.text(told, "format", at)
        found = re.findall(r"%(-?.?)", text)
        if not found or any(len(one.lstrip("-")) != 1 or one.lstrip("-") not in DATE_DIRECTIVES for one in found):
            allowed = " ".join(f"%{letter}" for letter in DATE_DIRECTIVES)
            self.fail(told, "format", at, "is no date format.", f"{allowed}, such as %d/%m/%Y")
        return text

    def lookup(self, told: Any, at: str) -> tuple[tuple[str, str], ...]:
        if "map" not in told:
            return ()
        pairs = told["map"]
        if not isinstance(pairs, Mapping) or not pairs:
            self.fail(told, "map", at, "must map delivered values to ours.", "{M: male, F: female}")
        for key, value in pairs.items():
            if not isinstance(key, str) or not isinstance(value, str):
                self.fail(pairs, key, f"{at}map.", "must map text to text; put both in quotes.")
        return tuple((str(key), str(value)) for key, value in pairs.items())

    def glob(self, tree: Any) -> str:
        text = self.text(tree, "files", "")
        if not text or text.startswith("/") or "\\" in text or ".." in PurePosixPath(text).parts:
            self.fail(tree, "files", "", "must be a pattern below the landing directory.", "such as claims/cjrs/*.csv")
        return text

    def name(self, tree: Any, key: str) -> str:
        text = self.text(tree, key, "")
        if not NAME.fullmatch(text):
            self.fail(tree, key, "", "is no name.", "lower case letters, digits and _, a letter first")
        return text

    def choice(self, tree: Any, key: str, options: Sequence[str], at: str = "", default: str | None = None) -> str:
        value = self.get(tree, key, at, required=default is None, default=default)
        if value not in options:
            self.fail(tree, key, at, f"`{value}` is not known.", ", ".join(options))
        return str(value)

    def text(self, tree: Any, key: str, at: str, default: str | None = None) -> str:
        value = self.get(tree, key, at, required=default is None, default=default)
        if not isinstance(value, str):
            self.fail(tree, key, at, "must be text; put it in quotes.")
        return str(value)

    def flag(self, tree: Any, key: str, at: str, *, default: bool) -> bool:
        value = self.get(tree, key, at, default=default)
        if not isinstance(value, bool):
            self.fail(tree, key, at, "must be true or false.", "true, false")
        return bool(value)

    def get(self, tree: Any, key: str, at: str, *, required: bool = False, default: Any = None) -> Any:
        if key not in tree and required:
            raise ProjectError("is missing.", file=self.path, field=at + key)
        return tree.get(key, default)

    def known(self, tree: Any, allowed: Iterable[str], at: str) -> None:
        for key in tree:
            if key not in allowed:
                self.fail(tree, key, at, "is not known here.", ", ".join(allowed))

    def fail(self, tree: Any, key: Any, at: str, what: str, allowed: str | None = None) -> NoReturn:
        raise ProjectError(what, file=self.path, line=self.line(tree, key), field=f"{at}{key}", allowed=allowed)

    def line(self, tree: Any, key: Any) -> int | None:
        try:
            return int(tree.lc.key(key)[0]) + 1
        except (AttributeError, KeyError):
            return None
