"""Journal messages of Universal Credit claimants, one JSON object a line, with the truth about risk of harm.

About 1 % are by people at risk. Non-standard spelling is applied to a good part of all messages, these included;
harmless messages may use alarming words. A few carry a NINO or a phone number in the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import phrases
from simulator.claims import Block
from simulator.clock import CLOSES, DAY, HOME, day, second_of_day
from simulator.hashing import Ints
from simulator.identifiers import mobile, nino_bytes
from simulator.text import Text, dates, fixed, join, lexicon, numbers, padded, stamps, take, where
from simulator.world import World

AT_RISK = 0.0105
ALARMING = 0.05
KINDS = ("ordinary", "nino", "phone", "alarming", "harm")
_LISTS = (phrases.ORDINARY, phrases.WITH_NINO, phrases.WITH_PHONE, phrases.ALARMING, phrases.HARM)
_SENTENCES = lexicon([sentence for group in _LISTS for sentence in group])
_COUNTS = np.array([len(group) for group in _LISTS])
_STARTS = np.concatenate(([0], np.cumsum(_COUNTS)[:-1]))
_OPENERS, _CLOSERS, _TAILS = lexicon(phrases.OPENERS), lexicon(phrases.CLOSERS), lexicon(phrases.HARM_TAILS)


@dataclass(frozen=True)
class Journal:
    """Messages of a block: JSON lines, and the truth beside them."""

    lines: Text
    message_id: Text
    risk_of_harm: Ints


def _fill(text: Text, place: str, values: Text) -> Text:
    """Put each row's value into its `{place}`."""
    has = pc.match_substring(text, place)
    if not pc.any(has).as_py():
        return text
    parts = pc.split_pattern(text.filter(has), place, max_splits=1)
    filled = join(pc.list_element(parts, 0), values.filter(has), pc.list_element(parts, 1))
    return pc.replace_with_mask(text, has, filled)


def _drawn(world: World, words: Text, stream: str, key: Ints) -> Text:
    return take(words, world.rand.below(stream, len(words), key))


def _misspelt(world: World, text: Text, key: Ints) -> Text:
    """A third of writers spell their own way: each slip of the list for one in three of them, some drop capitals."""
    r = world.rand
    careless = r.chance("message.careless", 0.34, key)
    for number, (right, wrong) in enumerate(phrases.MISSPELLINGS):
        rows = careless & r.chance(f"message.slip.{number}", 0.35, key)
        changed = pc.replace_substring(text.filter(pa.array(rows)), right, wrong)
        text = pc.replace_with_mask(text, pa.array(rows), changed)
    flat = careless & r.chance("message.lower", 0.4, key)
    return where(flat, pc.utf8_lower(text), text)


def journal(world: World, block: Block) -> Journal:
    """Up to three messages for each advance of the block, in the weeks around it."""
    r = world.rand
    many = np.array([0, 1, 2, 3])[r.pick("message.many", (0.27, 0.36, 0.23, 0.14), block.key)]
    rows = np.repeat(np.arange(many.size), many)
    turn = np.arange(rows.size) - np.repeat(np.cumsum(many) - many, many)
    key = block.key[rows] % (1 << 32) * 4 + turn
    person = block.people.number[rows]
    on = block.submitted[rows] // DAY - 4 + turn * 9 + r.below("message.gap", 14, key)
    on = np.clip(on, day("2020-04-01"), CLOSES)
    at = on * DAY + second_of_day(r, "message.hour", HOME, key)

    kind = r.pick("message.kind", (1 - ALARMING - AT_RISK - 0.025, 0.011, 0.014, ALARMING, AT_RISK), key)
    harm = kind == KINDS.index("harm")
    sentence = take(_SENTENCES, _STARTS[kind] + r.below("message.sentence", _COUNTS[kind], key))
    more = take(_SENTENCES, r.below("message.more", _COUNTS[0], key))
    also = join(" Also ", more)
    closer = where(r.chance("message.two", 0.3, key), also, _drawn(world, _CLOSERS, "message.close", key))
    tail = where(harm, _drawn(world, _TAILS, "message.tail", key), closer)
    plain = harm & r.chance("message.plain", 0.6, key)
    opener = where(plain, "", _drawn(world, _OPENERS, "message.open", key))
    body = _misspelt(world, join(opener, sentence, tail), key)
    amount = join("£", numbers(20 + r.below("message.amount", 900, key)))
    # twice where a message of two sentences may hold the same place twice
    for place, values in (
        ("{date}", dates(on + r.below("message.date", 30, key), "%d/%m/%Y")),
        ("{date}", dates(on + r.below("message.date2", 30, key), "%d/%m/%Y")),
        ("{amount}", amount),
        ("{amount}", amount),
        ("{hours}", numbers(8 + r.below("message.hours", 30, key))),
        ("{hours}", numbers(8 + r.below("message.hours2", 30, key))),
        ("{count}", numbers(2 + r.below("message.count", 7, key))),
        ("{count}", numbers(3 + r.below("message.count2", 9, key))),
        ("{nino}", fixed(nino_bytes(r, person))),
        ("{phone}", fixed(mobile(r, person))),
    ):
        body = _fill(body, place, values)
    message_id = join("M", padded(key, 12))
    shown = where(r.chance("message.nino.none", 0.01, key), "null", join('"', fixed(nino_bytes(r, person)), '"'))
    lines = join(
        '{"message_id":"', message_id, '","nino":', shown, ',"sent_at":"', stamps(at), '","body":"', body,
        '","direction":"claimant"}\n',
    )  # fmt: skip
    return Journal(lines, message_id, harm.astype(np.int64))
