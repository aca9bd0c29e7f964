"""What became of everything in an adopted project, for its new owners to work off."""

from __future__ import annotations

from collections.abc import Sequence

from mesh.scaffold.adopt.foreign import OUTCOMES, Note

HEADS = {
    "taken over": "Taken over",
    "changed": "Changed on the way",
    "not taken over": "Not taken over",
}


def heading(project: str) -> str:
    """The line by which a project is known to be adopted."""
    return f"# Adopted from the dbt project {project}"


def report(project: str, notes: Sequence[Note]) -> str:
    """The report as Markdown: a table for each outcome, what needs work last."""
    parts = [
        f"{heading(project)}\n\n"
        "Made once by `mesh adopt`. The files it names are yours to edit, and so is this list: strike out what is "
        "done.\n"
    ]
    for outcome in OUTCOMES:
        chosen = [note for note in notes if note.outcome == outcome]
        rows = [f"| {_cell(note.file)} | {_cell(note.what)} | {_cell(note.why)} |\n" for note in chosen]
        body = (
            "".join(
                [
                    f"| file | what | {'how' if outcome != 'not taken over' else 'why'} |\n",
                    "| --- | --- | --- |\n",
                    *rows,
                ]
            )
            if rows
            else "Nothing.\n"
        )
        parts.append(f"## {HEADS[outcome]}\n\n{body}")
    return "\n".join(parts)


def in_order(notes: Sequence[Note]) -> list[Note]:
    """What was taken over first, then by file; each thing once."""
    return sorted(dict.fromkeys(notes), key=lambda note: (OUTCOMES.index(note.outcome), note.file))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
