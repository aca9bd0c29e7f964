"""One simulation from start to finish: block after block through every module, then all files put in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from simulator import cjrs, contacts, messages, outcomes, records, seiss, ssp, uc_advance
from simulator.claims import Block
from simulator.fraud import PATTERNS
from simulator.hashing import Ints
from simulator.identifiers import INVENTED
from simulator.text import Text, join, lexicon, padded, take, where
from simulator.world import SCHEMES, World
from simulator.writer import SOURCES, SimulationError, Stream, existing, put_in_place

BLOCK = 20_000
MOST = 100_000_000
Progress = Callable[[str, float], None]
_MODULES = {"cjrs": cjrs.block, "seiss": seiss.block, "ssp": ssp.block, "uc_advance": uc_advance.block}
_PATTERN = lexicon(PATTERNS)


@dataclass(frozen=True)
class Summary:
    """What a simulation wrote.

    files: delivered files, relative to the landing directory, the manifest included.
    rows: delivered rows per source.
    fraud_rate: share of claims that are fraud in truth.
    seconds: wall time.
    """

    files: tuple[str, ...]
    rows: dict[str, int]
    fraud_rate: float
    seconds: float


def person_id(number: Ints) -> Text:
    """Truth's name of a person: P and nine digits; X and fifteen digits for an invented identity."""
    real = join("P", padded(number % INVENTED, 9))
    return where(number >= INVENTED, join("X", padded(number % INVENTED, 15)), real)


def _blocks(total: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most BLOCK; one empty range for nothing at all, so that every source gets a file with its header."""
    return ((low, min(low + BLOCK, total)) for low in range(0, max(total, 1), BLOCK))


def _persons(world: World, streams: dict[str, Stream], truth: dict[str, Stream], low: int, high: int) -> None:
    for source, listing in (("tax_records", records.tax_records), ("benefit_records", records.benefit_records)):
        listed = listing(world, low, high)
        streams[source].add(listed.table)
        whose = {
            "person_id": person_id(listed.person),
            "record_system": pa.array([source] * listed.person.size, pa.string()),
            "record_id": listed.record_id,
        }
        truth["persons"].add(pa.table(whose))
    streams["contacts"].add(contacts.journeys(world, low, high))


def _claims(world: World, streams: dict[str, Stream], truth: dict[str, Stream], block: Block) -> int:
    scheme = block.scheme
    streams[scheme].add(block.table)
    streams["outcomes"].add(outcomes.block_outcomes(world, block))
    streams["contacts"].add(contacts.before_claims(world, block))
    whose = {
        "claim_id": block.claim_id,
        "fraud": pa.array(block.plan.fraud.astype(np.int8)),
        "pattern": take(_PATTERN, block.plan.pattern),
        "person_id": person_id(block.people.number),
    }
    truth["claims"].add(pa.table(whose))
    if scheme == "uc_advance":
        journal = messages.journal(world, block)
        streams["messages"].add_lines(journal.lines)
        truth["messages"].add(pa.table({"message_id": journal.message_id, "risk_of_harm": journal.risk_of_harm}))
    return int(block.plan.fraud.sum())


def _fill(world: World, streams: dict[str, Stream], truth: dict[str, Stream], tell: Progress) -> int:
    """Make everything, block by block; gives the number of fraudulent claims."""
    work, done, fraud = world.persons + world.claims, 0, 0
    for low, high in _blocks(world.persons):
        tell("people", done / work)
        _persons(world, streams, truth, low, high)
        done += high - low
    for scheme in SCHEMES:
        for low, high in _blocks(world.counts[scheme]):
            tell(f"claims: {scheme}", done / work)
            fraud += _claims(world, streams, truth, _MODULES[scheme](world, low, high))
            done += high - low
    return fraud


def simulate(out: Path, *, claims: int = 100_000, seed: int = 7, progress: Progress | None = None) -> Summary:
    """Write the landing files of `claims` claims under `out`; the same claims and seed give the same bytes.

    An earlier simulation in `out` is replaced when the new one is complete. `progress` is called with what is being
    made and the share done, 0 to 1.

    Raises:
        SimulationError: `claims` is not between 1 and 100 million, `seed` is negative, or `out` holds foreign files.
    """
    if not 1 <= claims <= MOST:
        raise SimulationError(f"The number of claims must be between 1 and {MOST:,}, not {claims:,}.")
    if seed < 0:
        raise SimulationError(f"The seed must be 0 or greater, not {seed}.")
    tell = progress or (lambda _what, _share: None)
    started = time.perf_counter()
    out = Path(out)
    earlier = existing(out)
    out.mkdir(parents=True, exist_ok=True)
    world = World(seed, claims)
    streams = {
        name: Stream(out, f"{folder}/{name}_{{:04d}}.{'jsonl' if name == 'messages' else 'csv'}")
        for name, folder in SOURCES.items()
    }
    truth = {name: Stream(out, f"_truth/{name}.csv", chunk=1 << 62) for name in ("claims", "persons", "messages")}

    everything = (*streams.values(), *truth.values())
    try:
        fraud = _fill(world, streams, truth, tell)
        for stream in everything:
            stream.close()
    except BaseException:
        # also on Ctrl-C: what is half made is of no use to anybody, an earlier simulation stays as it was
        for stream in everything:
            stream.discard()
        raise
    delivered = [file for stream in streams.values() for file in stream.written]
    put_in_place(out, delivered, [file for stream in truth.values() for file in stream.written], earlier)
    tell("done", 1.0)
    rows = {name: stream.rows for name, stream in streams.items()}
    paths = (*(file.path for file in delivered), "manifest.json")
    return Summary(paths, rows, fraud / claims, time.perf_counter() - started)
