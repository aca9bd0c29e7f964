"""The same tokens in SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import FunctionNullHandling, PythonUDFType

from mesh.access.identifiers import status
from mesh.access.keys import KeyRing
from mesh.access.tokens import encrypt, tokenise, tokenise_one
from mesh.errors import UsageError

NAMES = ("mesh_token", "mesh_status", "mesh_encrypt")
ARROW, NULLS = PythonUDFType.ARROW, FunctionNullHandling.SPECIAL

ByKind = Callable[[str, pa.Array], pa.Array]


def register_udfs(con: duckdb.DuckDBPyConnection, keyring: KeyRing) -> None:
    """Register on a connection, all NULL-safe and working on whole vectors:

    - `mesh_token(kind, value) -> VARCHAR`, NULL where there is nothing to identify
    - `mesh_status(kind, value) -> VARCHAR`: valid, malformed or missing
    - `mesh_encrypt(value) -> VARCHAR`

    There is no `mesh_decrypt`: reading plain identifiers takes a key ring and Python, not a query. Registering again
    replaces the functions, so that a rotated key takes effect.
    """

    def mesh_token(kinds: pa.Array, values: pa.Array) -> pa.Array:
        return _by_kind(lambda kind, part: tokenise(keyring, kind, part)[0], kinds, values)

    def mesh_status(kinds: pa.Array, values: pa.Array) -> pa.Array:
        return _by_kind(status, kinds, values)

    def mesh_encrypt(values: pa.Array) -> pa.Array:
        return encrypt(keyring, values)

    if _known(con):
        probe = con.execute("select mesh_token('other', 'probe')").fetchall()
        if probe == [(tokenise_one(keyring, "other", "probe")[0],)]:
            return
        try:
            for name in NAMES:
                con.remove_function(name)
        except duckdb.InvalidInputException:
            # DuckDB removes a function only through the connection that made it
            raise UsageError(
                "The mesh functions of this database were registered through another connection with another key. "
                "Register the new key through that connection."
            ) from None
    functions: tuple[Callable[..., Any], ...] = (mesh_token, mesh_status, mesh_encrypt)
    for name, function, arguments in zip(NAMES, functions, (2, 2, 1), strict=True):
        con.create_function(name, function, ["VARCHAR"] * arguments, "VARCHAR", type=ARROW, null_handling=NULLS)


def _known(con: duckdb.DuckDBPyConnection) -> bool:
    names = con.execute("select function_name from duckdb_functions() where function_name = 'mesh_token'").fetchall()
    return bool(names)


def _by_kind(make: ByKind, kinds: pa.Array | pa.ChunkedArray, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(kinds, pa.ChunkedArray):
        kinds = kinds.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    distinct = pc.unique(kinds).to_pylist()
    if len(distinct) == 1:
        return make(distinct[0] or "", values)
    result = pa.nulls(len(values), pa.string())
    for kind in distinct:
        mask = pc.equal(kinds, kind) if kind is not None else pc.is_null(kinds)
        result = pc.replace_with_mask(result, mask, make(kind or "", values.filter(mask)))
    return result
