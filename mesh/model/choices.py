"""The part of a definition that says how to train: parameters, search, capacity and costs, sampling, as-of moment."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mesh.model.definition import ALGORITHMS, AMONG, OBJECTIVES, REST, ChosenBy, Costs, Search
from mesh.model.parameters import ALL_PARAMETERS, DEFAULT_SPACE

if TYPE_CHECKING:
    from mesh.model.reading import Reader

MOST_TRIALS = 500
_WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def parameters(reader: Reader) -> dict[str, float | int | bool]:
    """What the definition sets; names and types are those of its algorithm."""
    kinds = ALL_PARAMETERS[_algorithm(reader)]
    node = reader.mapping(reader.root, "parameters", list(kinds)) if "parameters" in reader.root else {}
    return {str(name): _typed(reader, node, name, value, kinds[name], "parameters.") for name, value in node.items()}


def search(reader: Reader) -> Search | None:
    if "search" not in reader.root:
        return None
    node, kinds = reader.mapping(reader.root, "search", ["trials", "space", "objective"]), _kinds_of_search(reader)
    trials = reader.whole(node, "trials", "search.")
    if not 1 <= trials <= MOST_TRIALS:
        raise reader.error(node, "trials", "search.", "does not fit", f"a whole number from 1 to {MOST_TRIALS}")
    objective = reader.choice(node, "objective", OBJECTIVES, "search.") if "objective" in node else OBJECTIVES[0]
    if "space" not in node:
        return Search(trials, DEFAULT_SPACE[_algorithm(reader)], objective)
    space, found = reader.mapping(node, "space", kinds, "search."), []
    for name, bounds in space.items():
        if not isinstance(bounds, list) or len(bounds) != 2:
            raise reader.error(space, name, "search.space.", "is no range", "[least, most], such as [7, 63]")
        low, high = (_typed(reader, space, name, end, kinds[name], "search.space.") for end in bounds)
        if not low < high:
            raise reader.error(space, name, "search.space.", "is no rising range", "[least, most], least first")
        if name in (reader.root.get("parameters") or {}):
            raise reader.error(space, name, "search.space.", "stands under `parameters` too", "one of the two")
        found.append((str(name), float(low), float(high)))
    if not found:
        raise reader.error(node, "space", "search.", "is empty", "parameter: [least, most]")
    return Search(trials, tuple(found), objective)


def capacity(reader: Reader) -> float:
    """The share that can be reviewed; 1, no bound, where only costs are given."""
    if "capacity" not in reader.root and "costs" in reader.root:
        return 1.0
    return reader.number(reader.root, "capacity", "", above=0.0, below=1.0)


def costs(reader: Reader) -> tuple[Costs | None, str | None]:
    """Costs, and the column of values: that of the costs, or the one given by itself."""
    root = reader.root
    value = _column(reader, root, "value", "") if "value" in root else None
    if "costs" not in root:
        return None, value
    node = reader.mapping(root, "costs", ["review", "value"])
    review = reader.number(node, "review", "costs.", above=0.0, below=float("inf"))
    worth = _column(reader, node, "value", "costs.")
    if value is not None and value != worth:
        raise reader.error(root, "value", "", "is another column than costs.value", worth)
    return Costs(review, worth), worth


def chosen_by(reader: Reader, label: Any) -> ChosenBy | None:
    if "chosen_by" not in label:
        return None
    within = "label.chosen_by."
    node = reader.mapping(label, "chosen_by", ["column", "random", "random_among"], "label.")
    column = _column(reader, node, "column", within)
    values = reader.present(node, "random", within)
    values = values if isinstance(values, list) else [values]
    if not values or any(value is None or isinstance(value, (dict, list, float)) for value in values):
        raise reader.error(node, "random", within, "is not a list of values", "such as [random]")
    among = reader.choice(node, "random_among", AMONG, within) if "random_among" in node else REST
    random = tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return ChosenBy(column, random, among)


def as_of(reader: Reader) -> str | None:
    root = reader.root
    if "as_of" not in root:
        return None
    allowed = "such as 2020-06-01 or 2020-06-01T12:00:00"
    value = reader.present(root, "as_of", "")
    if isinstance(value, bool) or not isinstance(value, (str, date)):
        raise reader.error(root, "as_of", "", "is no ISO date or timestamp", allowed)
    if "known_at" not in (root.get("label") or {}):
        raise reader.error(root, "as_of", "", "cannot be kept to", "a definition with label.known_at")
    text = value if isinstance(value, str) else value.isoformat()
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise reader.error(root, "as_of", "", "is no ISO date or timestamp", allowed) from None
    return str(text)


def _column(reader: Reader, node: Any, name: str, within: str) -> str:
    value = reader.present(node, name, within)
    if not isinstance(value, str) or not (value.isascii() and value.isidentifier()):
        raise reader.error(node, name, within, "is no column name", "letters, digits and _, no digit first")
    return str(value)


def _algorithm(reader: Reader) -> str:
    """The algorithm that names and types are those of; a wrong one is told where it stands."""
    given = reader.root.get("algorithm", ALGORITHMS[0])
    return given if given in ALGORITHMS else ALGORITHMS[0]


def _kinds_of_search(reader: Reader) -> dict[str, type[int] | type[float]]:
    """Parameters that have a range; a switch has none, and boosting is stopped by later rows already."""
    stops = ("num_iterations", "early_stopping_round")
    kinds = ALL_PARAMETERS[_algorithm(reader)].items()
    return {name: kind for name, kind in kinds if kind is not bool and name not in stops}


def _typed(
    reader: Reader, node: Any, name: Any, value: Any, kind: type[bool] | type[int] | type[float], within: str
) -> float | int | bool:
    fits = isinstance(value, bool) if kind is bool else not isinstance(value, bool) and isinstance(value, kind)
    if not fits and not (kind is float and isinstance(value, int) and not isinstance(value, bool)):
        raise reader.error(node, name, within, "does not fit", _WORDS[kind])
    return kind(value)
