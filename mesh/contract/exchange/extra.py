"""The optional part of the mesh that reads and draws contracts through `datacontract-cli`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import ServiceError

EXTRA = "exchange"


@contextmanager
def needs_extra() -> Iterator[None]:
    """Turn a missing package into the way to get it."""
    try:
        yield
    except ImportError as error:
        raise ServiceError(
            f"This needs the package datacontract-cli ({error.name} is not installed). Install it with the mesh: "
            f"`pip install -c constraints.txt -e '.[{EXTRA}]'`."
        ) from error
