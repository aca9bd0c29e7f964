"""Functions compiled by Numba for the processor at hand, kept for the next process where that can be written."""

from __future__ import annotations

from typing import Any

import numba


def compiled(function: Any) -> Any:
    """`function`, compiled when it is first called with arguments of a type; it lets go of the interpreter's lock."""
    return _compile(function)


def compiled_for(*signature: Any) -> Any:
    """Compiles for one signature at once: later calls look for nothing, and none of them waits for a compiler."""
    return lambda function: _compile(function, signature)


def _compile(function: Any, *signature: Any) -> Any:
    try:
        return numba.njit(*signature, nogil=True, cache=True, boundscheck=False)(function)
    except RuntimeError:
        # Neither its folder nor the user's cache can be written: each process compiles for itself.
        return numba.njit(*signature, nogil=True, boundscheck=False)(function)
