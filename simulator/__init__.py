"""Makes the landing files of a fictitious year of claims: people, departments' lists, contacts, claims and the truth.

A program in its own right: it knows nothing of who reads its files. Same number of claims and same seed, same bytes.

What is planted, and where it is written down: fraud patterns and how much of each shows (`fraud`), the departments'
errors (`records`), who is reviewed and the unequal treatment of EU nationals and disabled people (`outcomes`,
`people`), messages at risk of harm (`phrases`, `messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.run import Summary, simulate
    from simulator.writer import SimulationError

__all__ = ["SimulationError", "Summary", "simulate"]


def __getattr__(name: str) -> Any:
    # Importing the package must stay cheap for those who only want its command line.
    if name in __all__:
        from simulator import run, writer

        return getattr(writer if name == "SimulationError" else run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
