"""Makes the landing files of a fictitious year of claims: people, departments' lists, contacts, claims and the truth.

A program in its own right: it knows nothing of who reads its files. Same number of claims and same seed, same bytes.

What is planted, and where it is written down: fraud patterns and how much of each shows (`fraud`), the departments'
errors (`records`), who is reviewed and the unequal treatment of EU nationals and disabled people (`outcomes`,
`people`), messages at risk of harm (`phrases`, `messages`).
"""

from simulator.run import Summary, simulate
from simulator.writer import SimulationError

__all__ = ["SimulationError", "Summary", "simulate"]
