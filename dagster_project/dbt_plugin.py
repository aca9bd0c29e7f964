"""The dbt-duckdb plugin that attaches the lake: `lake`, writable, and `inputs`, pinned.

Profiles stay constant (a changing profile makes dbt parse everything anew), so what changes from build
to build is handed over here: `pin_inputs()` before a call, `attached_inputs()` after it. Used by hand
(`dbt run` in a shell), inputs are pinned to the newest snapshot.
"""

from __future__ import annotations

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from mesh.lake import INPUTS, attach_inputs, attach_lake, current_snapshot, load_extensions
from mesh.session import open_mesh

_wanted: int | None = None
_attached: int | None = None


def pin_inputs(snapshot: int) -> None:
    """The snapshot at which the next dbt connection attaches `inputs`."""
    global _wanted, _attached
    _wanted, _attached = snapshot, None


def attached_inputs() -> int | None:
    """The snapshot that the last dbt connection really saw, as its own catalog says."""
    return _attached


class Plugin(BasePlugin):
    """Runs before dbt-duckdb's own ATTACH IF NOT EXISTS, which then finds `lake` in place."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        global _attached
        mesh = open_mesh()
        load_extensions(conn)
        conn.execute("set timezone = 'UTC'")
        attach_lake(conn, mesh.postgres, mesh.settings)
        at = current_snapshot(conn) if _wanted is None else _wanted
        attach_inputs(conn, mesh.postgres, mesh.settings, at)
        _attached = current_snapshot(conn, INPUTS)
