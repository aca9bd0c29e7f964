"""Writing the files of a mesh so that people like to read and edit them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, FoldedScalarString, LiteralScalarString

from mesh.errors import UsageError
from mesh.profile.names import reserved_words

NAME = re.compile(r"[a-z][a-z0-9_]*")
# Schemas of the lake and of DuckDB itself.
TAKEN = ("information_schema", "inputs", "lake", "main", "mesh", "pg_catalog", "public", "system", "temp")
WIDTH = 120
FOLD = 80  # texts longer than this are written over several lines


def check_name(name: str, what: str) -> str:
    """A name that is the same in every engine and file system."""
    if not NAME.fullmatch(name):
        raise UsageError(f"{name} is no {what} name. Allowed: lower case letters, digits and _, a letter first")
    if name in TAKEN or name in reserved_words():
        raise UsageError(f"{name} means something to SQL, so it is no {what} name. Allowed: another word")
    return name


def split_key(key: str) -> tuple[str, str]:
    """`domain/product` in its parts."""
    domain, slash, product = key.partition("/")
    if not slash or not domain or not product:
        raise UsageError(f"{key} is no product. Allowed: DOMAIN/NAME, such as claims/motor")
    return check_name(domain, "domain"), check_name(product, "product")


def round_trip() -> YAML:
    """YAML that keeps comments, quotes and layout, written as the mesh's own files are."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = WIDTH, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def yaml_text(data: Mapping[str, Any], *, header: str = "") -> str:
    """Plain data as YAML in block style, long texts folded, short lists of words in one line."""
    yaml = round_trip()
    out = StringIO()
    yaml.dump(_styled(data), out)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comment + re.sub(r"[ \t]+$", "", out.getvalue(), flags=re.MULTILINE)


def write(folder: Path, relative: str, text: str) -> None:
    """Write a file of a bundle."""
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _styled(value: Any) -> Any:
    if isinstance(value, CommentedMap):
        for key in value:
            value[key] = _styled(value[key])
        return value
    if isinstance(value, Mapping):
        return CommentedMap((key, _styled(item)) for key, item in value.items())
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Sequence):
        items = CommentedSeq(_styled(item) for item in value)
        plain = all(isinstance(item, str | int | float | bool) for item in value)
        if plain and len(", ".join(str(item) for item in value)) <= FOLD:
            items.fa.set_flow_style()
        return items
    return value


def _text(value: str) -> Any:
    if "\n" in value:
        return LiteralScalarString(value)
    if len(value) > FOLD:
        return FoldedScalarString(value)
    # YAML 1.1 readers take these for true and false.
    if value.lower() in ("yes", "no", "on", "off", "y", "n"):
        return DoubleQuotedScalarString(value)
    return value
