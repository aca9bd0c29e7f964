"""YAML to `ModelDefinition`; every error names the file, the line, the field, what is wrong and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from mesh.errors import ProjectError
from mesh.model import choices
from mesh.model.definition import (
    ALGORITHMS,
    FAIRNESS,
    FEATURE_SELECTIONS,
    NONE,
    ROLES,
    Groups,
    Label,
    ModelDefinition,
    Moment,
    Split,
)
from mesh.model.gates import GROUPS, LEAST, MOST, NAMES, NOT_WORSE, RATIO, SECTIONS, Gate, with_stand_ins
from mesh.model.watching import read_monitoring

NAME = re.compile(r"[a-z][a-z0-9_]*")
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PRODUCT = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")
FIELDS = [
    "model",
    "description",
    "input",
    "key",
    "label",
    "time",
    "as_of",
    "split",
    "feature_selection",
    "exclude",
    "protected",
    "groups",
    "categorical",
    "capacity",
    "costs",
    "value",
    "algorithm",
    "parameters",
    "search",
    "output",
    "outputs",
    "gates",
    "monitoring",
    "reasons",
    "seed",
]


def load_definition(path: Path) -> ModelDefinition:
    """Read one model definition.

    Raises:
        ProjectError: the file is missing, is no YAML, has an unknown key or a value that does not fit.
    """
    return Reader(path).definition()


def load_definitions(project: Path) -> dict[str, ModelDefinition]:
    """Every model of a project by `domain/model`.

    Raises:
        ProjectError: as for `load_definition`.
    """
    files = sorted((project / "data_products").glob("*/models/*.yaml"))
    found = ((path.parents[1].name, load_definition(path)) for path in files)
    return {f"{domain}/{definition.model}": definition for domain, definition in found}


class Reader:
    """A YAML file whose every error names the line; what it holds is told where it is no mapping."""

    holds, fields = "model definition", tuple(FIELDS)

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Args:
        text: what the file holds, where the caller has read it.
        """
        self.path = path
        try:
            self.text_read = path.read_text(encoding="utf-8") if text is None else text
            self.root = YAML(typ="rt").load(self.text_read)
        except OSError as error:
            raise ProjectError("cannot be read", file=path) from error
        except UnicodeDecodeError as error:
            raise ProjectError("is not UTF-8 text", file=path) from error
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise ProjectError(f"is not YAML: {error.problem}", file=path, line=line) from error
        except YAMLError as error:
            raise ProjectError("is not YAML", file=path) from error
        if not isinstance(self.root, dict):
            raise ProjectError(f"holds no {self.holds}", file=path, line=1, allowed=", ".join(self.fields))

    def definition(self) -> ModelDefinition:
        root = self.root
        self.known(root, "", FIELDS)
        key = self.text(root, "key", COLUMN)
        costs, value = choices.costs(self)
        return ModelDefinition(
            model=self.text(root, "model", NAME),
            description=self.text(root, "description"),
            input=self.text(root, "input", PRODUCT),
            key=key,
            label=self.label(key),
            time=self.text(root, "time", COLUMN),
            split=self.split(),
            capacity=choices.capacity(self),
            output=self.text(root, "output", PRODUCT),
            algorithm=self.choice(root, "algorithm", ALGORITHMS) if "algorithm" in root else ALGORITHMS[0],
            seed=self.whole(root, "seed") if "seed" in root else 1,
            feature_selection=(
                self.choice(root, "feature_selection", FEATURE_SELECTIONS) if "feature_selection" in root else NONE
            ),
            exclude=self.texts(root, "exclude"),
            protected=self.columns(root, "protected"),
            categorical=self.columns(root, "categorical"),
            parameters=choices.parameters(self),
            reasons=self.texts(root, "reasons"),
            outputs=self.outputs(),
            groups=self.groups(key),
            gates=self.gates(),
            as_of=choices.as_of(self),
            search=choices.search(self),
            costs=costs,
            value=value,
            monitoring=read_monitoring(self),
            path=self.path,
        )

    def label(self, key: str) -> Label:
        node = self.mapping(self.root, "label", ["product", "key", "column", "positive", "known_at", "chosen_by"])
        within = "label."
        positive = node.get("positive")
        values = positive if isinstance(positive, list) else [positive]
        if not values or any(value is None or isinstance(value, (dict, list, float)) for value in values):
            raise self.error(node, "positive", within, "is not a list of label values", "such as [fraud] or [1]")
        return Label(
            column=self.text(node, "column", COLUMN, within),
            positive=tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values),
            key=self.text(node, "key", COLUMN, within) if "key" in node else key,
            product=self.text(node, "product", PRODUCT, within) if "product" in node else None,
            known_at=self.text(node, "known_at", COLUMN, within) if "known_at" in node else None,
            chosen_by=choices.chosen_by(self, node),
        )

    def split(self) -> Split:
        node = self.mapping(self.root, "split", ["test_share", "train", "test"])
        if "test_share" in node:
            if len(node) > 1:
                raise self.error(node, "test_share", "split.", "stands beside bounds", "test_share, or train and test")
            return Split(test_share=self.number(node, "test_share", "split.", above=0.0, below=1.0))
        train, test = self.mapping(node, "train", ["to"], "split."), self.mapping(node, "test", ["from"], "split.")
        last, first = self.moment(train, "to", "split.train."), self.moment(test, "from", "split.test.")
        if type(last) is not type(first) or last >= first:  # type: ignore[operator]
            raise self.error(test, "from", "split.test.", "is not later than split.train.to", "a later value")
        return Split(train_to=last, test_from=first)

    def groups(self, key: str) -> Groups | None:
        if "groups" not in self.root:
            return None
        node = self.mapping(self.root, "groups", ["product", "key", "columns", "least_rows"])
        columns = self.columns(node, "columns", "groups.")
        if not columns:
            raise self.error(node, "columns", "groups.", "names no column", "such as [age_band, sex]")
        least = node.get("least_rows", Groups.least_rows)
        # Below ten, a share would tell of single people.
        if isinstance(least, bool) or not isinstance(least, int) or least < 10:
            raise self.error(node, "least_rows", "groups.", "does not fit", "a whole number from 10")
        return Groups(
            product=self.text(node, "product", PRODUCT, "groups."),
            key=self.text(node, "key", COLUMN, "groups.") if "key" in node else key,
            columns=columns,
            least_rows=int(least),
        )

    def outputs(self) -> dict[str, str]:
        if "outputs" not in self.root:
            return {}
        node = self.mapping(self.root, "outputs", ROLES)
        found = {str(role): self.text(node, role, PRODUCT, "outputs.") for role in node}
        for role, product in found.items():
            if [*found.values(), self.root.get("output")].count(product) > 1:
                raise self.error(node, role, "outputs.", "names a product twice", "a product of its own for each role")
        if FAIRNESS in found and "groups" not in self.root:
            raise self.error(node, FAIRNESS, "outputs.", "needs groups to compare", "beside it `groups`")
        return found

    def gates(self) -> tuple[Gate, ...]:
        if "gates" not in self.root:
            return with_stand_ins(())
        node = self.mapping(self.root, "gates", SECTIONS)
        found: list[Gate] = []
        if NOT_WORSE in node:
            names, allowed = node[NOT_WORSE], NAMES[NOT_WORSE]
            if not isinstance(names, list) or not names or not all(name in allowed for name in names):
                raise self.error(node, NOT_WORSE, "gates.", "is not a list of figures", ", ".join(allowed))
            if len(set(names)) < len(names):
                raise self.error(node, NOT_WORSE, "gates.", "names a figure twice", "each figure once")
            found += [Gate(NOT_WORSE, str(name)) for name in names]
        for section in (section for section in (MOST, LEAST, GROUPS) if section in node):
            within = f"gates.{section}."
            given = self.mapping(node, section, NAMES[section], "gates.")
            for name in map(str, given):
                if name.endswith(RATIO):
                    found.append(Gate(section, name, *self.bounds(given, name, within)))
                elif section == LEAST:
                    found.append(Gate(section, name, low=self.amount(given, name, within)))
                else:
                    found.append(Gate(section, name, high=self.amount(given, name, within)))
        return with_stand_ins(found)

    def amount(self, node: Any, name: str, within: str) -> float:
        value = self.present(node, name, within)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
            raise self.error(node, name, within, "does not fit", "a number from 0")
        return float(value)

    def bounds(self, node: Any, name: str, within: str) -> tuple[float, float]:
        value = self.present(node, name, within)
        numbers = isinstance(value, list) and len(value) == 2
        if not numbers or any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in value):
            raise self.error(node, name, within, "does not fit", "two numbers, such as [0.5, 2.0]")
        if not 0 <= value[0] <= 1 <= value[1]:
            raise self.error(node, name, within, "does not hold 1, which is no difference", "such as [0.5, 2.0]")
        return float(value[0]), float(value[1])

    # -- one field -----------------------------------------------------------------------------------------------

    def error(self, node: Any, name: str, within: str, what: str, allowed: str | None = None) -> ProjectError:
        line = None
        if hasattr(node, "lc"):
            line = (node.lc.key(name)[0] if name in node else node.lc.line) + 1
        return ProjectError(what, file=self.path, line=line, field=within + name, allowed=allowed)

    def known(self, node: Any, within: str, allowed: Iterable[str]) -> None:
        names = list(allowed)
        for name in node:
            if name not in names:
                near = difflib.get_close_matches(str(name), names, 1)
                hint = f"is no field here; did you mean {near[0]}?" if near else "is no field here."
                raise self.error(node, name, within, hint, ", ".join(names))

    def present(self, node: Any, name: str, within: str) -> Any:
        if node.get(name) is None:
            raise self.error(node, name, within, "is missing")
        return node[name]

    def mapping(self, node: Any, name: str, allowed: Iterable[str], within: str = "") -> Any:
        value, names = self.present(node, name, within), list(allowed)
        if not isinstance(value, dict):
            raise self.error(node, name, within, "is not a mapping", ", ".join(names))
        self.known(value, f"{within}{name}.", names)
        return value

    def text(self, node: Any, name: str, shape: re.Pattern[str] | None = None, within: str = "") -> str:
        value = self.present(node, name, within)
        if not isinstance(value, str) or not value.strip():
            raise self.error(node, name, within, "is not text", "text")
        if shape is not None and not shape.fullmatch(value):
            raise self.error(node, name, within, "does not fit", SHAPES[shape])
        return str(value).strip()

    def texts(self, node: Any, name: str) -> dict[str, str]:
        if name not in node:
            return {}
        value = node[name]
        if not isinstance(value, dict):
            raise self.error(node, name, "", "is not a mapping", "column: words")
        return {self.column(value, key, f"{name}."): self.text(value, key, within=f"{name}.") for key in value}

    def column(self, node: Any, name: Any, within: str) -> str:
        if not isinstance(name, str) or not COLUMN.fullmatch(name):
            raise self.error(node, name, within, "is no column name", SHAPES[COLUMN])
        return str(name)

    def columns(self, node: Any, name: str, within: str = "") -> tuple[str, ...]:
        if name not in node:
            return ()
        value = node[name]
        if not isinstance(value, list) or not all(isinstance(item, str) and COLUMN.fullmatch(item) for item in value):
            raise self.error(node, name, within, "is not a list of columns", "such as [age, sex]")
        if len(set(value)) < len(value):
            raise self.error(node, name, within, "names a column twice", "each column once")
        return tuple(str(item) for item in value)

    def choice(self, node: Any, name: str, allowed: tuple[str, ...], within: str = "") -> str:
        value = self.text(node, name, within=within)
        if value not in allowed:
            raise self.error(node, name, within, "does not fit", ", ".join(allowed))
        return value

    def number(self, node: Any, name: str, within: str, *, above: float, below: float) -> float:
        value = self.present(node, name, within)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not above < value < below:
            to = "" if below == float("inf") else f" and below {below:g}"
            raise self.error(node, name, within, "does not fit", f"a number above {above:g}{to}")
        return float(value)

    def whole(self, node: Any, name: str, within: str = "") -> int:
        value = self.present(node, name, within)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            raise self.error(node, name, within, "does not fit", "a whole number from 0 to 2147483647")
        return int(value)

    def moment(self, node: Any, name: str, within: str) -> Moment:
        value = self.present(node, name, within)
        if isinstance(value, bool) or not isinstance(value, (int, str, date)):
            raise self.error(node, name, within, "does not fit", "a whole number, or an ISO date or timestamp")
        if isinstance(value, int):
            return int(value)
        if isinstance(value, str):
            _iso(value, lambda: self.error(node, name, within, "is no ISO date or timestamp", "such as 2020-06-01"))
            return str(value)
        return str(value.isoformat())


def _iso(value: str, error: Callable[[], ProjectError]) -> None:
    from datetime import datetime

    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise error() from None


SHAPES = {
    NAME: "lower case letters, digits and _, a letter first",
    COLUMN: "letters, digits and _, no digit first",
    PRODUCT: "domain/product",
}
