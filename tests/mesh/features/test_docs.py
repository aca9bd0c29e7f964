"""docs/features.md tells of everything that can be written."""

from __future__ import annotations

import pytest

from mesh.features.books import RULE
from mesh.features.definition import FORMS, SIDES, TAKES
from mesh.features.expressions import BUILT_IN
from mesh.features.reading import FIELDS
from mesh.features.vocabulary import FUNCTIONS
from tests.domains.desk import ROOT

DOCS = (ROOT / "docs/features.md").read_text()


@pytest.mark.parametrize("word", [*FIELDS, *FORMS, *SIDES, *TAKES, *BUILT_IN, *RULE])
def test_every_word_of_a_declaration_is_in_the_docs(word: str) -> None:
    assert f"`{word}`" in DOCS or f"{word}(" in DOCS or f"{word}:" in DOCS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_in_the_docs_with_its_types(name: str) -> None:
    function = FUNCTIONS[name]
    takes = ", ".join(" or ".join(map(str, types)) for types in function.takes)
    assert f"| `{name}({takes})` | {function.gives} | {function.says} |" in DOCS
