"""Exact numbers as scaled integers, rounded as DuckDB rounds them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from mesh.features.time import EPOCH
from mesh.features.types import Type

EXACT = 2**53
MICROSECOND_EPOCH = datetime(1970, 1, 1)
LONG = 2**31
WORD = 2**64 - 1
SHORT = 18
"""Digits of a decimal that DuckDB keeps in 64 bits."""
WIDE = Context(prec=80)
"""Python's own context would round at 28 digits."""


def limit(kind: Type) -> int:
    """The first number (scaled) that a type cannot hold; an integer has 32 bits."""
    return LONG if kind.kind == "integer" else int(10**kind.digits)


def rounded(value: int, divisor: int) -> int:
    """A quotient to the nearest whole number, halves away from zero."""
    return (2 * value + divisor) // (2 * divisor) if value >= 0 else -((2 * -value + divisor) // (2 * divisor))


def double(value: int, power: int) -> float:
    """A scaled integer of 64 bits as a double, as DuckDB makes one: beyond 53 bits its two parts apart."""
    if power == 1:
        return float(value)
    if -EXACT <= value <= EXACT:
        return value / float(power)
    whole, rest = _parts(value, power)
    return float(whole) + float(rest) / float(power)


def wide_double(value: int, power: int) -> float:
    """The same for a number that DuckDB keeps in 128 bits, whose halves it turns into doubles apart."""
    if -EXACT <= value <= EXACT:
        return value / float(power)
    if power == 1:
        return _halves(value)
    whole, rest = _parts(value, power)
    return _halves(whole) + _halves(rest) / float(power)


def _parts(value: int, power: int) -> tuple[int, int]:
    """Quotient and rest towards zero, as processors divide."""
    whole, rest = divmod(abs(value), power)
    return (whole, rest) if value >= 0 else (-whole, -rest)


def _halves(value: int) -> float:
    upper, lower = value >> 64, value & WORD
    return -float(WORD - lower) - 1.0 if upper == -1 else float(lower) + float(upper) * 2.0**64


def from_double(value: float, power: int, bound: int) -> int | None:
    """A double as a scaled integer below `bound`; None where it does not fit.

    Halves go away from zero, where `round` would take them to the even number.
    """
    scaled = value * float(power)
    if not -float(bound) < scaled < float(bound):
        return None
    found = int(scaled)
    rest = scaled - found
    if rest >= 0.5:
        found += 1
    elif rest <= -0.5:
        found -= 1
    return found if -bound < found < bound else None


def double_to_integer(value: float) -> int | None:
    """A double as a 32-bit integer: halves to the even number, as processors do it."""
    return found if -LONG <= value < LONG and -LONG <= (found := round(value)) < LONG else None


def encoder(kind: Type) -> Callable[[Any], Any]:
    """What turns a value as Python's own types have it into one that features reckon with; it must fit the type."""
    power = Decimal(10**kind.places)
    if kind.kind == "decimal":
        return lambda value: None if value is None else int(WIDE.multiply(Decimal(value), power))
    if kind.kind == "date":
        return lambda value: None if value is None else value.toordinal() - EPOCH
    if kind.kind == "timestamp":
        return lambda value: None if value is None else _microseconds(value)
    return lambda value: value


def decoder(kind: Type) -> Callable[[Any], Any]:
    """The way back: Decimal, date and datetime (without a zone, UTC), as DuckDB gives them."""
    if kind.kind == "decimal":
        return lambda value: None if value is None else WIDE.scaleb(Decimal(value), -kind.places)
    if kind.kind == "date":
        return lambda value: None if value is None else date.fromordinal(value + EPOCH)
    if kind.kind == "timestamp":
        return lambda value: None if value is None else MICROSECOND_EPOCH + timedelta(microseconds=value)
    return lambda value: value


def _microseconds(value: datetime) -> int:
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    between = value - MICROSECOND_EPOCH
    return (between.days * 86_400 + between.seconds) * 1_000_000 + between.microseconds
