"""What keeps a domain fresh under `mesh up`: one sensor a domain, and a schedule for what its contracts promise.

Both ask the planner that `mesh run` asks, so that the UI, the clock and the command line agree on what is out of date:
new files in the landing zone, a new release upstream, an edited contract. The sensor requests one run of it. What
failed is not tried again until something changes; what died or met a fault of the machine is.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from dagster_project import orphans
from dagster_project.plan import Step, plan_wave, sources_of
from dagster_project.resources import process_mesh
from dagster_project.selection import assets_of
from mesh import errors
from mesh.contract.service import holds_frequency
from mesh.ingest import arriving, landing_state
from mesh.lake import newest_snapshot
from mesh.model import Ledger
from mesh.project import Domain, Product
from mesh.session import Mesh

INTERVAL_SECONDS = 5
SETTLED_SECONDS = 10
"""A file that nobody touched for so long is complete; where one was, the landing zone is looked at again first."""

ATTEMPTS = 3
AGAIN_AFTER_SECONDS = 60
PLAN, DOMAIN = "mesh/plan", "mesh/domain"
REPOSITORY = ".dagster/repository"

FINAL = {
    kind.__name__
    for kind in (
        errors.AuditFailed, errors.SourceError, errors.BuildFailed, errors.PublishRefused, errors.ProjectError,
        errors.ContractError, errors.ModelError, errors.NotFound, errors.SettingsError,
    )
}  # fmt: skip
"""Errors that the same inputs would give again."""

DAY = timedelta(days=1)
CRONS = (
    (28 * DAY, "monthly", "0 5 1 * *"), (7 * DAY, "weekly", "0 5 * * 1"), (DAY, "daily", "0 5 * * *"),
    (timedelta(0), "hourly", "0 * * * *"),
)  # fmt: skip
"""When a product is looked at that promises a release at least every so often; UTC."""


@dataclass
class Seen:
    """What the sensor knew at its last look: the state of landing zone and lake that needed nothing, and why."""

    planned: list[Any] = field(default_factory=list)
    told: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> "Seen":
        try:
            return cls(**json.loads(cursor)) if cursor else cls()
        except (ValueError, TypeError):
            return cls()  # of another version: look at everything

    def write(self) -> str:
        return json.dumps(asdict(self))


def automation(mesh: Mesh, domain: Domain) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:
    """The sensor of a domain, and its schedules."""
    return ([_sensor(domain.name)] if domain.products else []), _schedules(domain)


def _sensor(name: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{name}_automation",
        target=dg.AssetSelection.groups(name),
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches the landing zone, releases upstream and the domain's own contracts, and requests a run of "
        "what is out of date. Files that are still being written wait.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen = Seen.read(context.cursor)
        found = look(process_mesh(), context.instance, name, seen)
        if isinstance(found, str):
            return dg.SensorResult(skip_reason=found, cursor=seen.write())
        return dg.SensorResult(run_requests=[found], cursor=seen.write())

    return sensor


def _schedules(domain: Domain) -> list[dg.ScheduleDefinition]:
    """One schedule per frequency that contracts of the domain promise."""
    found: dict[tuple[str, str], list[Product]] = {}
    for product in domain.products:
        for level in product.contract.sla:
            if holds_frequency(level) and level.age is not None:
                word, cron = next((word, cron) for length, word, cron in CRONS if level.age >= length)
                found.setdefault((word, cron), []).append(product)
    return [_schedule(domain.name, word, cron, products) for (word, cron), products in found.items()]


def _schedule(domain: str, word: str, cron: str, products: Sequence[Product]) -> dg.ScheduleDefinition:
    names = [product.key for product in products]

    @dg.schedule(
        name=f"{domain}_{word}",
        cron_schedule=cron,
        target=dg.AssetSelection.groups(domain),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Looks at {', '.join(names)}, whose contracts promise a {word} release, and requests a run of "
        "what is out of date, whatever the sensor saw.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        found = look(process_mesh(), context.instance, domain, Seen(), names)
        return dg.SkipReason(found) if isinstance(found, str) else found

    return schedule


def look(
    mesh: Mesh,
    instance: dg.DagsterInstance,
    name: str,
    seen: Seen,
    only: Sequence[str] = (),
    clock: Callable[[], float] = time.time,
) -> dg.RunRequest | str:
    """One look at a domain: a request for a run of what is out of date, or why there is none.

    Args:
        seen: what the last look knew; changed in place.
        only: products, by default all of the domain.
        clock: seconds since 1970.
    """
    domain = mesh.project.domain(name)
    products = [product for product in domain.products if not only or product.key in only]
    if orphans.any_open(mesh):
        orphans.end(mesh, instance)
    if at_work := _open_runs(instance, name):
        return f"Run {at_work[0].run_id[:8]} of this domain is at work."
    if mesh.running():
        return "A `mesh run` is at work."
    sources = sources_of(mesh, name, [table for product in products for table in product.raw_tables])
    state = landing_state(sources, mesh.settings.landing_dir)
    # A champion that was promoted or rolled back leaves no trace in the lake, but what it scored is out of date.
    now = [state.digest, newest_snapshot(mesh.postgres), Ledger(mesh.postgres).newest()]
    if now == seen.planned:
        return seen.told
    if clock() - state.touched < SETTLED_SECONDS:
        return "Files are arriving; waiting until nobody has touched them for a while."
    steps = _plan(mesh, products)
    building = [step for step in steps if step.action == "build" and not _awaits_delivery(mesh, step)]
    busy = sorted({run for step in building for run in _upstream(mesh, step.product) - {name}
                   if _open_runs(instance, run)})  # fmt: skip
    if busy:
        return f"Waiting for {', '.join(busy)}, which is being built."
    waiting = arriving(sources, mesh.settings.landing_dir)
    late = f" Still being written: {', '.join(waiting)}." if waiting else ""
    if not building:
        seen.planned, seen.told = now, _told(mesh, steps) + late
        return seen.told
    digest = _digest(building)
    again = _refused(instance, digest, clock)
    if again is not None:
        final, why = again
        if final:
            seen.planned, seen.told = now, why + late
        return why + late
    return dg.RunRequest(
        asset_selection=sorted(assets_of(mesh, _graph(name), [step.product for step in building])),
        tags={
            PLAN: digest,
            DOMAIN: name,
            "mesh/why": "; ".join(f"{step.product.name}: {step.why}" for step in building)[:250],
        },
    )


def _digest(steps: Sequence[Step]) -> str:
    parts = json.dumps([[step.product.key, step.digest] for step in steps])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _plan(mesh: Mesh, products: Sequence[Product]) -> tuple[Step, ...]:
    if not newest_snapshot(mesh.postgres):
        with mesh.writer():
            pass  # creates the catalog on first use, so that readers can attach
    connection = mesh.reader()
    try:
        return plan_wave(mesh, connection, products, mesh.settings.landing_dir, catalog="mesh", without={})
    finally:
        connection.close()


def _awaits_delivery(mesh: Mesh, step: Step) -> bool:
    """A product of source files of which none ever came: a run of it could only fail."""
    if step.action != "build" or not step.product.raw_tables or step.product.key in mesh.history().newest:
        return False
    sources = sources_of(mesh, step.product.domain, step.product.raw_tables)
    return landing_state(sources, mesh.settings.landing_dir).touched == 0


def _told(mesh: Mesh, steps: Sequence[Step]) -> str:
    blocked = [f"{step.product.key}: {step.why}" for step in steps if step.action == "blocked"]
    awaited = [step.product.key for step in steps if _awaits_delivery(mesh, step)]
    blocked += [f"{', '.join(awaited)}: no file has arrived yet"] if awaited else []
    return f"{'; '.join(blocked)}." if blocked else "All products are up to date."


def _graph(name: str) -> Any:
    from dagster_project.factory import domain_job

    return domain_job(name).asset_layer.asset_graph


def _upstream(mesh: Mesh, product: Product) -> set[str]:
    """The domains that a product is made from, near and far."""
    found: set[str] = set()
    queue = list(product.inputs)
    while queue:
        upstream = mesh.project.product(queue.pop())
        found.add(upstream.domain)
        queue.extend(upstream.inputs)
    return found


def _open_runs(instance: dg.DagsterInstance, domain: str) -> Sequence[dg.DagsterRun]:
    tags = {REPOSITORY: f"__repository__@{domain}"}
    return instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES), tags=tags), limit=1)


def _refused(instance: dg.DagsterInstance, digest: str, clock: Callable[[], float]) -> tuple[bool, str] | None:
    """Whether the same plan was tried already and must wait, for good or for a while; None where it may be tried."""
    records = instance.get_run_records(dg.RunsFilter(tags={PLAN: digest}), limit=ATTEMPTS)
    if not records:
        return None
    last = records[0].dagster_run
    short = last.run_id[:8]
    if last.status == dg.DagsterRunStatus.CANCELED:
        return True, f"Run {short} was cancelled; waiting for a change, or for `mesh run`."
    if last.status == dg.DagsterRunStatus.SUCCESS:
        return True, f"Run {short} of the same plan succeeded, and yet it is out of date; waiting for a change."
    kinds = _error_kinds(instance, last.run_id)
    if kinds & FINAL:
        return True, f"Run {short} failed ({', '.join(sorted(kinds & FINAL))}); waiting for a change."
    if len(records) >= ATTEMPTS:
        return True, f"Run {short} failed, as {ATTEMPTS - 1} before it; waiting for a change."
    ended = records[0].end_time or 0.0
    left = AGAIN_AFTER_SECONDS - (clock() - ended) if kinds else 0.0
    return (False, f"Run {short} met a fault; trying again in {left:.0f} s.") if left > 0 else None


def _error_kinds(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    """The kinds of error that steps of a run ended with, causes included."""
    kinds = set()
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        error = event.step_failure_data.error if event is not None else None
        while error is not None:
            if error.cls_name:
                # What Dagster says of a blocking check is what the gate would have said.
                kinds.add("AuditFailed" if error.cls_name == "DagsterAssetCheckFailedError" else error.cls_name)
            error = error.cause
    return kinds
