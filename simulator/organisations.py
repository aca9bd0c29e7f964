"""Employers, their payroll agents, and the other things many honest claims share.

Jobs ("worker slots") are a line; an employer is a run of neighbouring jobs. A line of 2,048 jobs is cut by one of 48
fixed shapes with a heavy tail, so an employer's number (its first job) and size come from a table look-up. Accountants
and payroll bureaux file for many employers from few devices; some receive the money for their clients. That is honest
and looks odd: without it, a shared device or account alone would give a fraud away.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from simulator import names, places
from simulator.hashing import Bools, Ints
from simulator.identifiers import paye_reference
from simulator.text import Text, choose, join, take
from simulator.world import World

LINE = 2048
_SHAPES = 48


def _shapes() -> tuple[np.ndarray, np.ndarray]:
    first, size = np.zeros((_SHAPES, LINE), np.int64), np.zeros((_SHAPES, LINE), np.int64)
    draws = np.random.Generator(np.random.PCG64(2021))
    for shape in range(_SHAPES):
        at = 0
        while at < LINE:
            here = int(min(3 * draws.pareto(0.95) + 2, 900, LINE - at))
            first[shape, at : at + here], size[shape, at : at + here] = at, here
            at += here
    return first, size


_FIRST_AT, _SIZE_AT = _shapes()


class Employers:
    """The employers of these jobs. Arrays are aligned with `slot`."""

    def __init__(self, world: World, slot: Ints) -> None:
        self.world, self._r = world, world.rand
        shape = self._r.below("employer.shape", _SHAPES, slot // LINE)
        self.number: Ints = slot // LINE * LINE + _FIRST_AT[shape, slot % LINE]
        self.size: Ints = _SIZE_AT[shape, slot % LINE]

    @cached_property
    def paye(self) -> Text:
        return paye_reference(self._r, self.number)

    @cached_property
    def name(self) -> Text:
        r, e = self._r, self.number
        owner = take(names.LAST, r.below("employer.owner", len(names.LAST), e))
        other = take(names.LAST, r.below("employer.other", len(names.LAST), e))
        trade = take(places.TRADE, r.below("employer.trade", len(places.TRADE), e))
        town = take(places.TOWN, np.searchsorted(places.OUTWARD_CDF, r.uniform("employer.town", e), side="right"))
        ending = take(places.COMPANY_ENDING, r.below("employer.ending", len(places.COMPANY_ENDING), e))
        return choose(
            r.pick("employer.style", (0.5, 0.3, 0.14, 0.06), e),
            [
                join(owner, trade, ending, sep=" "),
                join(town, trade, ending, sep=" "),
                join(join(owner, " & ", other), trade, ending, sep=" "),
                join(join(owner, ", ", other, " & Co"), trade, sep=" "),
            ],
        )

    @cached_property
    def has_agent(self) -> Bools:
        return self._r.chance("employer.agent", np.where(self.size < 60, 0.5, 0.2), self.number)

    @cached_property
    def agent(self) -> Ints:
        """Number of the accountant or bureau; about one for every 160 jobs."""
        count = max(2, self.world.worker_slots // 160)
        u = self._r.uniform("employer.which_agent", self.number)
        return (count * u * u).astype(np.int64)

    @cached_property
    def paid_to_agent(self) -> Bools:
        """The agent's client account takes the money."""
        return self.has_agent & self._r.chance("employer.client_account", 0.16, self.number)
