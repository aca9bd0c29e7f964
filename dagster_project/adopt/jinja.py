"""Models and macros of another dbt project as this project can render them, in the words they were written in.

What a model says with Jinja stays as it is where the mesh has the same words; else the SQL is taken as dbt compiled it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

BLOCK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
CALL = re.compile(r"""\b(ref|source)\(\s*(['"])([^'"]+)\2\s*(?:,\s*(['"])([^'"]+)\4\s*)?\)""")
CONFIG = re.compile(r"\{\{-?\s*config\s*\(")
VAR = re.compile(r"""\{\{-?\s*var\(\s*(['"])(\w+)\1\s*(?:,[^{}]*)?\)\s*-?\}\}""")
LATER_RUNS = re.compile(
    r"\{%-?\s*if\s+is_incremental\(\s*\)\s*-?%\}(?:(?!\{%).)*\{%-?\s*endif\s*-?%\}[ \t]*\n?", re.DOTALL
)
TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)")

# Words whose meaning is the other project's: its variables, its target, what is in its warehouse.
FOREIGN = re.compile(
    r"\b(var|env_var|target|this|is_incremental|run_query|statement|load_result|adapter|graph|model|execute|api|flags"
    r"|builtins|invocation_id|run_started_at|project_name|selected_resources|database|schema|load_relation)\b"
)

Resolved = Callable[[str, str, str | None], str | None]
"""`(ref or source, first name, second name)` as a model of the mesh; None where there is none."""


def as_written(sql: str, project: str, resolved: Resolved) -> tuple[str | None, str]:
    """The model with its references resolved and its settings taken out; None and why where that cannot be done."""
    plain = without_config(sql)
    if plain is None:
        return None, "its config() cannot be told from its SQL"
    problems: list[str] = []

    def reference(match: re.Match[str]) -> str:
        kind, quote, first, second = match.group(1), match.group(2), match.group(3), match.group(5)
        name = resolved(kind, first, second)
        if name is None:
            problems.append(f"{match.group(0)} is not known")
            return match.group(0)
        return f"ref({quote}{name}{quote})"

    def block(match: re.Match[str]) -> str:
        text = re.sub(rf"\b{re.escape(project)}\.(?=\w+\s*\()", "", match.group(0))
        words = TEXT.sub("''", text)
        if found := FOREIGN.search(words):
            problems.append(f"it asks for {found.group(1)}, which is the other project's own")
        if len(re.findall(r"\b(?:ref|source)\s*\(", words)) != len(CALL.findall(text)):
            problems.append("it makes the name of what it reads")
        return CALL.sub(reference, text)

    made = BLOCK.sub(block, plain)
    return (None, problems[0]) if problems else (made, "")


def with_values(sql: str, variables: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
    """The model with the values of plain variables in their place, and which were put there."""
    put: dict[str, None] = {}

    def value(match: re.Match[str]) -> str:
        found = variables.get(match.group(2))
        if not isinstance(found, str | int | float):
            return match.group(0)
        put.setdefault(match.group(2))
        return str(found)

    return VAR.sub(value, sql), tuple(put)


def built_whole(sql: str) -> str:
    """The model without what only later runs of an incremental one add to it."""
    return LATER_RUNS.sub("", sql)


def as_compiled(sql: str, relations: Mapping[str, str]) -> str:
    """Compiled SQL with the names of relations turned back into references.

    Args:
        relations: the relation as dbt writes it, and the model of the mesh that it is now.
    """
    for relation in sorted(relations, key=len, reverse=True):
        sql = sql.replace(relation, f"{{{{ ref('{relations[relation]}') }}}}")
    return sql


def macro_as_written(text: str, project: str, here: str) -> tuple[str | None, str]:
    """The text of a macro for the project called `here`; None and why where it asks for what only the other has."""
    text = re.sub(rf"\b{re.escape(project)}\.(?=\w+\s*\()", "", text)
    text = re.sub(
        rf"""(dispatch\(\s*['"]\w+['"]\s*,\s*(?:macro_namespace\s*=\s*)?)(['"]){re.escape(project)}\2""",
        rf"\g<1>\g<2>{here}\g<2>",
        text,
    )
    for block in BLOCK.findall(text):
        words = TEXT.sub("''", re.sub(r"\badapter\.dispatch\b", "", block))
        if found := FOREIGN.search(words):
            return None, f"it asks for {found.group(1)}"
        if re.search(r"\b(ref|source)\s*\(", words):
            return None, "it reads a table by itself"
    return text, ""


def without_config(sql: str) -> str | None:
    """SQL without its `{{ config(...) }}`; None where one does not end."""
    while found := CONFIG.search(sql):
        at = _closing(sql, found.end())
        end = re.compile(r"\s*-?\}\}[ \t]*\n*").match(sql, at) if at else None
        if end is None:
            return None
        sql = sql[: found.start()] + sql[end.end() :]
    return sql


def _closing(sql: str, at: int) -> int | None:
    """The place behind the bracket that closes one opened before `at`; brackets in quotes do not count."""
    depth, quote = 1, ""
    for place in range(at, len(sql)):
        char = sql[place]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return place + 1
    return None
