"""What people write for a model's transparency record: `data_products/<domain>/records/<model>.yaml`.

    decision_process:
      appeals: Ask the team that sent the decision; a person looks at it again.

Keys are the sections and questions of `mesh.model.atrs`; each is optional, an unknown one is refused with its line.
"""

from __future__ import annotations

from pathlib import Path

from mesh.model.atrs import QUESTIONS
from mesh.model.reading import Reader

Words = dict[tuple[str, str], str]


def words_path(root: Path, model: str) -> Path:
    """Where the words for `domain/model` are."""
    domain, _, name = model.partition("/")
    return root / "data_products" / domain / "records" / f"{name}.yaml"


def load_words(path: Path) -> Words:
    """Read them; nothing where there is no file.

    Raises:
        ProjectError: the file is no YAML, asks an unknown question or answers one with what is no text.
    """
    if not path.exists():
        return {}
    reader = _WordsReader(path)
    reader.known(reader.root, "", QUESTIONS)
    found: Words = {}
    for section in reader.root:
        answers = reader.mapping(reader.root, section, QUESTIONS[section][1])
        for question in answers:
            found[section, question] = reader.text(answers, question, within=f"{section}.")
    return found


class _WordsReader(Reader):
    holds, fields = "words for a record", tuple(QUESTIONS)
