"""`mesh run` in this process, with the seconds that DuckDB and LightGBM were busy.

The busy time is the union over all threads of the calls that wait for the two engines, as they see them; what is
left of the wall clock is what imports, dbt, Dagster, MLflow and the mesh itself cost. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import duckdb

_TIMED = {
    *("execute", "executemany", "sql", "query", "append", "commit", "begin", "rollback", "load_extension"),
    *("fetchall", "fetchone", "fetchmany", "fetchdf", "df", "arrow", "to_arrow_table", "fetch_arrow_table"),
}


class Clock:
    """Seconds during which at least one thread was inside an engine."""

    def __init__(self) -> None:
        self.busy = 0.0
        self._inside = 0
        self._since = 0.0
        self._lock = threading.Lock()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                if self._inside == 0:
                    self._since = time.perf_counter()
                self._inside += 1
            try:
                return call(*args, **kwargs)
            finally:
                with self._lock:
                    self._inside -= 1
                    if self._inside == 0:
                        self.busy += time.perf_counter() - self._since

        return timed


class Timed:
    """A DuckDB connection, cursor or result whose waiting calls are timed."""

    def __init__(self, inner: Any, clock: Clock) -> None:
        self.__dict__.update(_inner=inner, _clock=clock)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name == "cursor":
            return lambda: Timed(value(), self._clock)
        if name in _TIMED:
            call = self._clock.around(value)
            return lambda *args, **kwargs: self._wrap(call(*args, **kwargs))
        return value

    def __enter__(self) -> Timed:
        return self

    def __exit__(self, *_error: object) -> None:
        self._inner.close()

    def _wrap(self, result: Any) -> Any:
        kinds = (duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation)
        return Timed(result, self._clock) if isinstance(result, kinds) else result


def main() -> None:
    started = time.perf_counter()
    engine, training = Clock(), Clock()
    connect = duckdb.connect
    duckdb.connect = lambda *args, **kwargs: Timed(engine.around(connect)(*args, **kwargs), engine)
    import lightgbm

    lightgbm.train = training.around(lightgbm.train)
    lightgbm.Booster.predict = training.around(lightgbm.Booster.predict)

    from dagster_project import runner
    from mesh.session import open_mesh

    report = runner.run(open_mesh())
    whole = time.perf_counter() - started
    print(json.dumps({"seconds": whole, "duckdb": engine.busy, "training": training.busy, "failed": report.failed}))
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
