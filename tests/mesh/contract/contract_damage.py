"""Damaged contract files: small contracts cut from the shipped ones, then broken in many ways, by seed.

Small, so that a million of them take minutes and not days: reading is linear in the length of the file.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mesh.contract import Contract, parse_contract
from mesh.contract.linting import lint_content
from mesh.contract.policies import Policy, load_policies
from mesh.errors import ContractError

ROOT = Path(__file__).parents[3]
FILE = Path("damaged.yaml")
LIMIT_SECONDS = 1.0

TOKENS = (
    "[", "]", "{", "}", "- ", ": ", "? ", ", ", "|", ">", "|9", ">-", "&a ", "*a", "!!x ", "!!python/object:os.system ",
    "!!binary ", "!!set ", "!<tag:yaml.org,2002:int> ", "%YAML 9.9\n", "%TAG ! x\n", "---\n", "...\n", "<<: ", "#",
    "\t", "\r", "\r\n", "'", '"', "\\", "~", "null", "true", "yes", ".inf", "-.nan", "0x1F", "0o17", "1e999", "9" * 400,
    "1_0", "12:30:45", "2020-01-01", "=", "@", "`", "${table}", "(?<=a)", "((a+)+)+$", "mustBe: 1",
    "apiVersion: v3.2.0", "logicalType: map", "primaryKey: 1", "- name: x\n",
)  # fmt: skip
ODD = (
    "\ufeff", "\x00", "\x07", "\x1b[2J", "\x7f", "\x85", "\xa0", "\u00ad", "\u2028", "\u2029", "\u200b", "\u202e",
    "\ufffe", "\U0001f4a9", "\U0010ffff", "e\u0301", "ﬁ", "İ", "ß", '"\\ud800"', '"\\x00"', '"\\U00110000"',
    '"\\N\\_\\L"',
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """A shipped contract taken apart: what stands before its columns, each column, and what follows."""

    head: str
    columns: tuple[str, ...]
    tail: str


@cache
def shipped() -> tuple[Parts, ...]:
    parts = []
    for file in sorted((ROOT / "contracts").glob("*/*.yaml")):
        text = file.read_text("utf-8")
        start = text.index("    properties:\n") + len("    properties:\n")
        end = re.compile(r"^(    quality:|[a-z])", re.M).search(text, start)
        assert end is not None
        columns = re.split(r"^(?=      - name: )", text[start : end.start()], flags=re.M)
        parts.append(Parts(text[:start], tuple(filter(None, columns)), text[end.start() :]))
    return tuple(parts)


def sound(rng: random.Random) -> str:
    """A contract with a few of the columns of a shipped one; once in two hundred the whole of it."""
    parts = rng.choice(shipped())
    if rng.random() < 0.005:
        return parts.head + "".join(parts.columns) + parts.tail
    columns = rng.sample(parts.columns, min(len(parts.columns), rng.randint(1, 3)))
    tail = parts.tail if rng.random() < 0.2 else ""
    return parts.head + "".join(columns) + tail


def _spot(rng: random.Random, text: str) -> int:
    return rng.randint(0, len(text))


def _lines(rng: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[i]
        case 1:
            lines.insert(j, lines[i])
        case 2:
            lines[i], lines[j] = lines[j], lines[i]
        case 3:
            lines[i] = " " * rng.randint(0, 9) + lines[i].lstrip()
        case _:
            lines = lines[: i + 1]
    return "".join(lines)


def _tokens(rng: random.Random, text: str) -> str:
    at = _spot(rng, text)
    return text[:at] + rng.choice(TOKENS) + text[at + rng.randint(0, 5) :]


def _unicode(rng: random.Random, text: str) -> str:
    at = _spot(rng, text)
    return text[:at] + rng.choice(ODD) * rng.choice((1, 1, 1, 50)) + text[at:]


def _value(rng: random.Random, text: str) -> str:
    """Another value, of any kind, after some key."""
    keys = list(re.finditer(r"(?m)^ *(?:- )?\w+:(?= |$)", text))
    if not keys:
        return text
    key = rng.choice(keys)
    end = text.find("\n", key.end())
    end = len(text) if end < 0 else end
    return text[: key.end()] + " " + rng.choice((*TOKENS, *ODD, "{}", "[]", "[[1]]", "{a: {b: c}}")) + text[end:]


def _nesting(rng: random.Random, text: str) -> str:
    deep = rng.choice((10, 100, 400, 1500))
    nested = rng.choice(
        ("[" * deep, "{a: " * deep, "[" * deep + "]" * deep, "- " * deep, "{a: " * deep + "1" + "}" * deep,
         "".join("\n" + " " * i + "a:" for i in range(min(deep, 150))))
    )  # fmt: skip
    at = _spot(rng, text)
    return text[:at] + nested + text[at:]


def _huge(rng: random.Random, text: str) -> str:
    size = rng.choice((2_000, 10_000))
    huge = rng.choice(
        ("a" * size, '"' + "a\\n" * (size // 3) + '"', "a " * (size // 2), "9" * size, "# " + "a" * size + "\n",
         "\n" * size, " " * size, "[" + "1," * (size // 2) + "]", "'" + "''" * (size // 2) + "'",
         "|\n" + "  a\n" * (size // 4), "".join(f"k{i}: 1\n" for i in range(size // 10)),
         "&a [" + "*a," * (size // 3) + "]", "a.b" * (size // 3))
    )  # fmt: skip
    at = text.find(" ", _spot(rng, text)) + 1
    return text[:at] + huge + text[at:]


def _structure(rng: random.Random, text: str) -> str:
    """A block moved to another depth or place."""
    lines = text.splitlines(keepends=True) or [""]
    i = rng.randrange(len(lines))
    block = lines[i : i + rng.randint(1, 6)]
    shift = rng.choice((-4, -2, 2, 4, 8))
    block = [(" " * max(0, len(line) - len(line.lstrip()) + shift)) + line.lstrip() for line in block]
    j = rng.randrange(len(lines))
    return "".join(lines[:j] + block + lines[j:])


WAYS: tuple[tuple[Callable[[random.Random, str], str], int], ...] = (
    (_lines, 6), (_tokens, 8), (_unicode, 4), (_value, 8), (_structure, 5), (_nesting, 1), (_huge, 1),
)  # fmt: skip


def damaged(seed: int) -> bytes:
    """The damaged contract number `seed`."""
    rng = random.Random(seed)
    text = sound(rng)
    ways, weights = zip(*WAYS, strict=True)
    for _ in range(rng.randint(1, 3)):
        (way,) = rng.choices(ways, weights)
        text = way(rng, text)
    content = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.15:
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(content))
            content = content[:at] + rng.randbytes(rng.randint(0, 4)) + content[at + rng.randint(0, 4) :]
    return content


@cache
def policies() -> tuple[Policy, ...]:
    return load_policies(ROOT)


@dataclass
class Tally:
    """What became of a range of damaged contracts."""

    contracts: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_seed: int = -1
    wrong: str = ""


def try_all(first: int, beyond: int) -> Tally:
    """Parse every damaged contract from `first` up to `beyond`, lint each eighth; stops where one goes wrong.

    Seconds are those of this process, so that a busy machine makes no input slow.
    """
    tally = Tally()
    for seed in range(first, beyond):
        content = damaged(seed)
        began = time.process_time()
        try:
            if seed % 8 == 0:
                lint_content(content, FILE, policies())
            outcome: object = parse_contract(content, FILE)
        except ContractError as error:
            outcome = error
        except Exception as error:
            tally.wrong = f"seed {seed}: {type(error).__name__}: {error}"
            return tally
        seconds = time.process_time() - began
        if seconds > tally.slowest:
            tally.slowest, tally.slowest_seed = seconds, seed
        if isinstance(outcome, Contract):
            tally.contracts += 1
        elif str(outcome).startswith(str(FILE)):
            tally.refused += 1
        else:
            tally.wrong = f"seed {seed}: the error names no file: {outcome}"
            return tally
        if seconds > LIMIT_SECONDS:
            tally.wrong = f"seed {seed}: {seconds:.2f} s"
            return tally
    return tally
