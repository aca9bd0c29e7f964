"""`mesh up`: the Dagster UI with its daemon, MLflow and the mesh's own pages, on loopback, until nobody wants them.

The serving process owns the others: it starts them in sessions of their own, watches them, and stops them all
on Ctrl-C, on a TERM signal (`mesh down`) or when one of them dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from dagster_project import instance
from dagster_project.reloading import reload_locations, stamp
from mesh import postgres
from mesh.console import screen
from mesh.errors import MeshError, ServiceError
from mesh.model.tracking import SWITCHES
from mesh.project import load_project
from mesh.session import Mesh
from mesh.settings import LOOPBACK, Settings

START_SECONDS = 120
STOP_SECONDS = 10
LOOK_SECONDS, LOOKS_PER_STAMP = 0.5, 4


@dataclass(frozen=True)
class Service:
    """One server of `mesh up`: its command line, its port and its log file."""

    name: str
    command: tuple[str, ...]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def services(mesh: Mesh) -> tuple[Service, ...]:
    """What `mesh up` starts. Passwords stay in the environment, out of command lines."""
    settings = mesh.settings
    scripts, logs = Path(sys.executable).parent, settings.home / "logs"
    return (
        Service(
            "dagster",
            (str(scripts / "dagster"), "dev", "-w", str(settings.project / "workspace.yaml"),
             "-h", LOOPBACK, "-p", str(settings.dagster_port)),
            settings.dagster_port,
            logs / "dagster.log",
        ),
        Service(
            "mlflow",
            (str(scripts / "mlflow"), "server", "--host", LOOPBACK, "--port", str(settings.mlflow_port),
             "--workers", "1"),
            settings.mlflow_port,
            logs / "mlflow.log",
        ),
        Service("pages", (sys.executable, "-m", "services.pages"), settings.pages_port, logs / "pages.log"),
    )  # fmt: skip


def _ports(settings: Settings) -> dict[str, int]:
    """The names of what `mesh up` starts, and where each listens."""
    return {"dagster": settings.dagster_port, "mlflow": settings.mlflow_port, "pages": settings.pages_port}


def serve(mesh: Mesh) -> None:
    """Start everything, print the addresses, and stay until told to stop.

    Raises:
        ServiceError: it runs already, a port is taken, or a server did not come up.
    """
    # A shell's background job inherits an ignored SIGINT, which Dagster would copy to SIGTERM: a handler of our own
    # means that what we start begins with the default. First of all, because starting takes seconds.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    console = screen()
    wanted = services(mesh)
    _refuse_second(mesh.settings, wanted)
    for service in wanted:
        _refuse_taken(service)
    environment = _environment(mesh)
    _write_state(mesh.settings, ())
    started: list[tuple[Service, subprocess.Popen[bytes]]] = []
    try:
        for service in wanted:
            started.append((service, _start(service, environment, mesh.settings.project)))
            _write_state(mesh.settings, [process.pid for _, process in started])
        with console.status("Starting; the first time takes longer"):
            for service, process in started:
                _wait(service, process)
        for service, _ in started:
            console.print(f"{service.name:>8}  {service.address}")
        console.print("Ctrl-C stops them all, and so does `mesh down` in another shell.")
        _watch(mesh, started, environment)
    except KeyboardInterrupt:
        console.print("Stopping.")
    finally:
        _stop_all([process for _, process in started])
        _state_file(mesh.settings).unlink(missing_ok=True)
        if not postgres.stop(mesh.settings) and (clients := postgres.clients(mesh.settings)):
            console.print(still_used(clients))


def still_used(clients: int) -> str:
    """Why the embedded Postgres was not stopped."""
    they = "1 connection uses it" if clients == 1 else f"{clients} connections use it"
    return (
        f"Postgres stays up: {they} (a run, a DuckDB client). `mesh down` once they are done, or `mesh down --force`."
    )


def stop(settings: Settings, *, force: bool = False) -> list[str]:
    """Stop a running `mesh up` of this MESH_HOME, then the embedded Postgres where nobody else uses it.

    Args:
        force: stop Postgres under whoever uses it.

    Returns:
        The names of what was stopped.

    Raises:
        ServiceError: it does not stop.
    """
    stopped = []
    owner = _owner(settings)
    if owner is not None:
        owner.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS + 15
        while _lives(owner):
            if time.monotonic() > deadline:
                raise ServiceError(f"`mesh up` (process {owner.pid}) does not stop; end it by hand.")
            time.sleep(0.1)
        stopped += _ports(settings)
    elif left := _left_over(settings):
        # Its owner was killed: in sessions of their own, they would hold their ports for ever.
        _end([process.pid for process in left], [member for process in left for member in _family(process.pid)])
        _state_file(settings).unlink(missing_ok=True)
        stopped += _ports(settings)
    # The owner stops the embedded server itself; your own is never stopped.
    if postgres.stop(settings, force=force) or (owner is not None and not postgres.is_running(settings)):
        stopped += [] if settings.postgres_url else ["postgres"]
    return stopped


def states(settings: Settings) -> list[dict[str, Any]]:
    """Per service whether it runs and where."""
    owner, left = _owner(settings), bool(_left_over(settings))
    rows: list[dict[str, Any]] = [
        {
            "service": name,
            "running": (owner is not None or left) and _answers(port),
            "address": f"http://{LOOPBACK}:{port}",
            "process": str(owner.pid) if owner else None,
        }
        for name, port in _ports(settings).items()
    ]
    running = postgres.is_running(settings)
    where = "MESH_POSTGRES_URL" if settings.postgres_url else str(settings.home / "postgres")
    rows.append({"service": "postgres", "running": running, "address": where, "process": None})
    return rows


def _environment(mesh: Mesh) -> dict[str, str]:
    # MLflow reads its tables' address from the environment: nothing secret on a command line.
    return {
        **os.environ,
        **SWITCHES,
        **instance.prepare(mesh),
        "MESH_PROJECT": str(mesh.settings.project),
        "MESH_HOME": str(mesh.settings.home),
        "MLFLOW_BACKEND_STORE_URI": mesh.postgres.url(mesh.postgres.mlflow_database),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": str(mesh.settings.home / "mlflow" / "artifacts"),
        # Seven more processes, for evaluations of language models.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Threads of a training that wait must not take the cores from the one that works.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
    }


def _start(service: Service, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("wb") as log:
        return subprocess.Popen(
            service.command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C at the terminal reaches us alone, and we stop them in order
        )


def _wait(service: Service, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(service.port):
        if process.poll() is not None:
            raise ServiceError(f"{service.name} stopped while starting; its words are in {service.log}.")
        if time.monotonic() > deadline:
            raise ServiceError(f"{service.name} does not answer on {service.address}; see {service.log}.")
        time.sleep(0.2)


def _watch(mesh: Mesh, started: list[tuple[Service, subprocess.Popen[bytes]]], environment: Mapping[str, str]) -> None:
    """Until a server stops by itself; edited files are loaded anew once nobody has touched them for one look."""
    project = mesh.settings.project
    loaded = looked = before = stamp(project)
    while True:
        for _ in range(LOOKS_PER_STAMP):
            for service, process in started:
                if process.poll() is not None:
                    raise ServiceError(f"{service.name} stopped by itself; its words are in {service.log}.")
            time.sleep(LOOK_SECONDS)
        now = stamp(project)
        if now != looked and now == before:
            looked = now
            if now == loaded:
                screen().print("Files are again as they were loaded.")
            elif _sound(project):
                _load_anew(mesh, started, environment, restart=now.workspace != loaded.workspace)
                loaded = now
        before = now


def _sound(project: Path) -> bool:
    """Whether files can be loaded; a slip in one contract must not take down the code locations of all domains."""
    try:
        load_project(project)
    except MeshError as error:
        screen().print(f"Files changed, but what is loaded stays until this is mended:\n{error}", markup=False)
        return False
    return True


def _load_anew(
    mesh: Mesh,
    started: list[tuple[Service, subprocess.Popen[bytes]]],
    environment: Mapping[str, str],
    *,
    restart: bool,
) -> None:
    console = screen()
    service, process = started[0]
    if restart:
        # Dagster reads the list of code locations only as it starts.
        _stop_all([process])
        started[0] = (service, _start(service, dict(environment), mesh.settings.project))
        _write_state(mesh.settings, [process.pid for _, process in started])
        _wait(*started[0])
        console.print("Files changed, and a code location is new or gone: Dagster was started again.")
        return
    try:
        failed = reload_locations(service.address)
    except (OSError, ValueError) as error:
        console.print(f"Files changed, but Dagster did not load them ({type(error).__name__}); reload them in its UI.")
        return
    console.print("Files changed: code locations were loaded anew." if not failed else "Files changed.")
    for said in dict.fromkeys(failed.values()):
        names = ", ".join(name for name, reason in failed.items() if reason == said)
        console.print(f"Cannot be loaded, so their sensors rest: {names}. {said}", markup=False)


def _stop_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask every server and all it started to stop, then end what is left."""
    _end([process.pid for process in processes], [member for process in processes for member in _family(process.pid)])
    for process in processes:
        process.poll()


def _end(groups: Sequence[int], members: Sequence[psutil.Process]) -> None:
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
        for group in groups:
            # The whole group: a server's helpers outlive it where only the server is told.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        _, members = psutil.wait_procs(members, timeout=patience)
        if not members:
            return


def _lives(process: psutil.Process) -> bool:
    """Whether a process still does something: one that has ended stays on the list until its parent has asked."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _refuse_second(settings: Settings, wanted: Sequence[Service]) -> None:
    owner = _owner(settings)
    if owner is not None:
        addresses = ", ".join(f"{service.name} {service.address}" for service in wanted)
        raise ServiceError(f"Already up (process {owner.pid}): {addresses}. `mesh down` stops it.")
    if _left_over(settings):
        raise ServiceError("Servers of a `mesh up` that was killed still run. `mesh down` stops them; then try again.")


def _refuse_taken(service: Service) -> None:
    if _answers(service.port):
        raise ServiceError(
            f"Port {service.port} is taken by another program, so {service.name} cannot start. Free it, or set "
            f"MESH_{service.name.upper()}_PORT."
        )


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _state_file(settings: Settings) -> Path:
    return settings.home / "up.json"


def _write_state(settings: Settings, services: Sequence[int]) -> None:
    """Who serves, and as which processes: whoever finds the owner dead can still end the others."""
    state = {"owner": _mark(os.getpid()), "services": [_mark(pid) for pid in services]}
    _state_file(settings).write_text(json.dumps(state))


def _mark(pid: int) -> dict[str, float]:
    return {"pid": pid, "created": psutil.Process(pid).create_time()}


def _owner(settings: Settings) -> psutil.Process | None:
    """The process of a running `mesh up`."""
    found = _known(settings, lambda state: [state["owner"]])
    return found[0] if found else None


def _left_over(settings: Settings) -> list[psutil.Process]:
    """Servers that run on though the `mesh up` that started them is gone."""
    return [] if _owner(settings) else _known(settings, lambda state: state["services"])


def _known(settings: Settings, of: Callable[[Any], Any]) -> list[psutil.Process]:
    """Running processes of the state file; a number that was given to another process since does not count."""
    found = []
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        for mark in of(json.loads(_state_file(settings).read_text())):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(mark["pid"])
                if abs(process.create_time() - mark["created"]) < 1 and _lives(process):
                    found.append(process)
    return found


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
