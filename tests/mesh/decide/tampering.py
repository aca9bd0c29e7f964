"""Ways to tamper with a log that somebody who can write to its disk has, the clever ones included."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from mesh.decide.log.entries import FRAME, Erasure, chain, decode, encode, framed
from mesh.decide.log.roots import Root
from mesh.decide.log.segments import HEADER, identity_of
from tests.mesh.decide.desk import OTHERS_KEYS

Files = dict[str, bytes]
ROOTS = "roots.jsonl"


def content(folder: Path) -> Files:
    """What `verify` reads."""
    paths = [*sorted((folder / "segments").iterdir()), folder / ROOTS]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def put(folder: Path, old: Files, new: Files) -> None:
    """Make the files of a folder those of `new`, given that they are those of `old`."""
    for name in old.keys() | new.keys():
        if name not in new:
            (folder / name).unlink()
        elif old.get(name) != new[name]:
            (folder / name).write_bytes(new[name])


def records(raw: bytes) -> list[bytes]:
    """The records of a segment, whole."""
    found, at = [], HEADER.size
    while at < len(raw):
        chained, erasable, *_ = FRAME.unpack_from(raw, at)
        found.append(raw[at : at + FRAME.size + chained + erasable])
        at += len(found[-1])
    return found


def parts(record: bytes) -> tuple[bytes, bytes]:
    """Chained and erasable part."""
    length = FRAME.unpack_from(record)[0]
    return record[FRAME.size : FRAME.size + length], record[FRAME.size + length :]


class Tamperer:
    """Tampers with a log in one way of many.

    Args:
        before: the log as it was before anything was erased from it.
    """

    def __init__(self, folder: Path, before: Files, chance: random.Random) -> None:
        self.files, self.before, self.chance = content(folder), before, chance
        self.identity = identity_of(folder / "segments" / f"{1:020d}.segment")
        self.segments = [name for name in self.files if name != ROOTS]
        self.ways: list[Callable[[Files], None]] = [
            self.flip, self.flip, self.flip_root, self.cut_file, self.cut_roots, self.insert, self.drop_record,
            self.repeat_record, self.swap_records, self.drop_segment, self.swap_segments, self.repeat_segment,
            self.cut_at_record, self.zero_payload, self.other_payload,
            self.stretch_payload, self.stretch_payload, self.put_back_erased, self.rewrite,
            self.rewrite_and_roots, self.rewrite_without, self.forge_root, self.older, self.drop_root, self.swap_roots,
        ]  # fmt: skip

    def tampered(self) -> tuple[str, Files]:
        """The way, and the files after it; never as they were."""
        while True:
            way, files = self.chance.choice(self.ways), dict(self.files)
            way(files)
            if files != self.files:
                return way.__name__, files

    def some(self) -> str:
        return self.chance.choice(self.segments)

    def _flip(self, files: Files, name: str) -> None:
        raw = bytearray(files[name])
        raw[self.chance.randrange(len(raw))] ^= self.chance.randrange(1, 256)
        files[name] = bytes(raw)

    def flip(self, files: Files) -> None:
        self._flip(files, self.some())

    def flip_root(self, files: Files) -> None:
        self._flip(files, ROOTS)

    def cut_file(self, files: Files) -> None:
        name = self.some()
        files[name] = files[name][: self.chance.randrange(len(files[name]))]

    def cut_roots(self, files: Files) -> None:
        files[ROOTS] = files[ROOTS][: self.chance.randrange(len(files[ROOTS]))]

    def insert(self, files: Files) -> None:
        name = self.some()
        at = self.chance.randrange(len(files[name]) + 1)
        files[name] = files[name][:at] + self.chance.randbytes(self.chance.randrange(1, 200)) + files[name][at:]

    def _edit_records(self, files: Files, edit: Callable[[list[bytes]], object]) -> None:
        name = self.some()
        found = records(files[name])
        edit(found)
        files[name] = files[name][: HEADER.size] + b"".join(found)

    def drop_record(self, files: Files) -> None:
        self._edit_records(files, lambda found: found.pop(self.chance.randrange(len(found))))

    def repeat_record(self, files: Files) -> None:
        self._edit_records(
            files, lambda found: found.insert(self.chance.randrange(len(found) + 1), self.chance.choice(found))
        )

    def swap_records(self, files: Files) -> None:
        self._edit_records(files, self.chance.shuffle)

    def cut_at_record(self, files: Files) -> None:
        """The end of the log goes, cleanly, with the segments behind."""
        at = self.chance.randrange(len(self.segments))
        for name in self.segments[at + 1 :]:
            del files[name]
        name = self.segments[at]
        found = records(files[name])
        files[name] = files[name][: HEADER.size] + b"".join(found[: self.chance.randrange(len(found) + 1)])

    def drop_segment(self, files: Files) -> None:
        del files[self.some()]

    def swap_segments(self, files: Files) -> None:
        one, other = self.chance.sample(self.segments, 2)
        files[one], files[other] = files[other], files[one]

    def repeat_segment(self, files: Files) -> None:
        name = self.some()
        files[f"segments/{self.chance.randrange(1, 40):020d}.segment"] = files[name]

    def _payload(self, files: Files, made: Callable[[bytes], bytes]) -> None:
        def edit(found: list[bytes]) -> None:
            at = self.chance.randrange(len(found))
            chained, erasable = parts(found[at])
            found[at] = found[at][: FRAME.size] + chained + made(erasable)

        self._edit_records(files, edit)

    def zero_payload(self, files: Files) -> None:
        """An erasure that nobody recorded; of what is erased already it changes nothing."""
        self._payload(files, lambda erasable: bytes(len(erasable)))

    def other_payload(self, files: Files) -> None:
        self._payload(files, lambda erasable: self.chance.randbytes(len(erasable)))

    def stretch_payload(self, files: Files) -> None:
        """Zeros are added, with a frame that fits: among the zeros of an erased payload they would not show."""

        def edit(found: list[bytes]) -> None:
            at = self.chance.randrange(len(found))
            chained, erasable = parts(found[at])
            found[at] = framed(FRAME.unpack_from(found[at])[3], chained, erasable + bytes(self.chance.randrange(1, 9)))

        self._edit_records(files, edit)

    def put_back_erased(self, files: Files) -> None:
        """What was erased comes back, from a copy made before."""
        name = self.some()
        old = self.before[name]
        files[name] = old + files[name][len(old) :]

    def _rewritten(self, files: Files, drop: bool) -> int:
        """A record in the middle is changed or dropped, and all behind is made to fit; that record's number."""
        every = [parts(record) for name in self.segments for record in records(self.files[name])]
        at = self.chance.randrange(len(every))
        entries = [decode(chained) for chained, _ in every]
        erasables = [erasable for _, erasable in every]
        if drop:
            del entries[at], erasables[at]
        else:
            entries[at] = msgspec.structs.replace(entries[at], moment=entries[at].moment + self.chance.randrange(1, 99))
        firsts = [int(Path(name).stem) for name in self.segments]
        for name in self.segments:
            del files[name]
        head, name = self.identity.genesis, ""
        for sequence, (entry, erasable) in enumerate(zip(entries, erasables, strict=True), start=1):
            if sequence in firsts:
                name = f"segments/{sequence:020d}.segment"
                files[name] = self.identity.header(sequence, head)
            if drop and isinstance(entry.body, Erasure) and entry.body.erased > at + 1:
                body = msgspec.structs.replace(entry.body, erased=entry.body.erased - 1)
                entry = msgspec.structs.replace(entry, body=body)
            chained = encode(msgspec.structs.replace(entry, sequence=sequence))
            head = chain(head, chained)
            files[name] += framed(head, chained, erasable)
        return at + 1

    def rewrite(self, files: Files) -> None:
        self._rewritten(files, drop=False)

    def rewrite_and_roots(self, files: Files) -> None:
        """The roots that would tell go, too: only an exported one is left to tell."""
        changed = self._rewritten(files, drop=False)
        self._roots_before(files, changed)

    def rewrite_without(self, files: Files) -> None:
        self._roots_before(files, self._rewritten(files, drop=True))

    def older(self, files: Files) -> None:
        """The log as it was once, roots and all."""
        self.cut_at_record(files)
        last = max((decode(parts(one)[0]).sequence for name in files if name != ROOTS for one in records(files[name])),
                   default=0)  # fmt: skip
        self._roots_before(files, last + 1)

    def _roots_before(self, files: Files, sequence: int) -> None:
        lines = files[ROOTS].splitlines(keepends=True)
        files[ROOTS] = b"".join(line for line in lines if msgspec.json.decode(line, type=Root).sequence < sequence)

    def forge_root(self, files: Files) -> None:
        """A root signed with a key of the tamperer's own."""
        lines = files[ROOTS].splitlines(keepends=True)
        at = self.chance.randrange(len(lines))
        lines[at] = msgspec.json.decode(lines[at], type=Root).signed_by(OTHERS_KEYS).line
        files[ROOTS] = b"".join(lines)

    def drop_root(self, files: Files) -> None:
        lines = files[ROOTS].splitlines(keepends=True)
        del lines[self.chance.randrange(len(lines))]
        files[ROOTS] = b"".join(lines)

    def swap_roots(self, files: Files) -> None:
        lines = files[ROOTS].splitlines(keepends=True)
        self.chance.shuffle(lines)
        files[ROOTS] = b"".join(lines)
