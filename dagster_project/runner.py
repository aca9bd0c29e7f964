"""`mesh run`: waves of products, each wave one Dagster run in this process.

A wave holds the products of one domain that can be built now. What is up to date is left alone; what
fails holds up only what is made from it.
"""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dagster_project import orphans
from dagster_project.plan import Step, derived, models, plan_wave
from mesh import errors
from mesh.errors import NotFound, ServiceError
from mesh.project import Product
from mesh.release import Release, audit_failed, last_audit
from mesh.session import LOCK_LOOK_SECONDS, LOCK_PATIENCE_SECONDS, Mesh

if TYPE_CHECKING:
    import dagster as dg


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run did about one product."""

    product: Product
    status: Literal["released", "unchanged", "blocked", "failed"]
    why: str
    release: Release | None
    seconds: float = 0.0
    run_id: str | None = None


@dataclass
class Report:
    """Everything a run did, in the order it was done."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return any(outcome.status in ("failed", "blocked") for outcome in self.outcomes)


Watch = Callable[[str, str, Sequence[str]], None]
"""Told about each wave as it starts: domain, run id, products."""


def run(mesh: Mesh, selection: str | None = None, *, watch: Watch | None = None) -> Report:
    """Bring products up to date.

    Args:
        selection: a domain, a product (`domain/product`), or None for all.
        watch: called as each wave starts.

    Raises:
        NotFound: the selection names nothing, or the landing zone is not there and nothing was ever built.
    """
    started = time.perf_counter()
    products = mesh.project.select(selection)
    _landing(mesh)
    with mesh.writer():
        pass  # creates the catalog on first use, so that readers can attach
    with mesh.at_work():
        report = _waves(mesh, products, watch)
    report.seconds = time.perf_counter() - started
    return report


def _waves(mesh: Mesh, products: Sequence[Product], watch: Watch | None) -> Report:
    report, without = Report(), {}
    instance = _instance(mesh) if orphans.any_open(mesh) else None
    for domain, wave in mesh.project.waves(products):
        # Planned and built as one: of two runs at once the later waits, looks again, and finds the work done.
        with mesh.run_lock(domain):
            _wait_for_others(mesh, domain)
            connection = mesh.reader()
            try:
                steps = plan_wave(mesh, connection, wave, mesh.settings.landing_dir, catalog="mesh", without=without)
            finally:
                connection.close()
            building = [step for step in steps if step.action == "build"]
            if building:
                instance = instance or _instance(mesh)
                done = _run_wave(mesh, instance, domain, building, watch)
            else:
                done = {}
            served = mesh.history().served
        for step in steps:
            key = step.product.key
            outcome = done.get(key) or Outcome(step.product, step.action, step.why, served.get(key))  # type: ignore[arg-type]
            if outcome.status in ("failed", "blocked"):
                without[key] = outcome.status
            report.outcomes.append(outcome)
    return report


def _wait_for_others(mesh: Mesh, domain: str) -> None:
    """Let a run that the UI or a sensor started in this domain finish: what it releases need not be built again."""
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    told = False
    while orphans.at_work(mesh, domain):
        if not told:
            _log.warning("A run of domain %s is at work in another process; waiting for it to finish.", domain)
            told = True
        if time.monotonic() > deadline:
            raise ServiceError(
                f"A run of domain {domain} has been at work for more than {LOCK_PATIENCE_SECONDS // 60} minutes. Look "
                "at it in the Dagster UI; end it there, or wait and run again."
            )
        time.sleep(LOCK_LOOK_SECONDS)


def _landing(mesh: Mesh) -> Path:
    landing = mesh.settings.landing_dir
    if not landing.is_dir() and not mesh.history().releases:
        raise NotFound(
            f"The landing zone {landing} is not there, so there is nothing to build from. Make one with `mesh simulate "
            f"--claims 100000 --out {landing}`, or name yours with --landing."
        )
    return landing


def _instance(mesh: Mesh) -> dg.DagsterInstance:
    from dagster_project.instance import instance

    found = instance(mesh)
    orphans.end(mesh, found)
    return found


def _run_wave(
    mesh: Mesh, instance: dg.DagsterInstance, domain: str, steps: Sequence[Step], watch: Watch | None
) -> dict[str, Outcome]:
    from dagster._core.utils import make_new_run_id

    from dagster_project.factory import domain_job
    from dagster_project.selection import assets_of

    job = domain_job(domain)
    run_id = make_new_run_id()
    if watch:
        watch(domain, run_id, [step.product.name for step in steps])
    started = time.perf_counter()
    result = job.execute_in_process(
        instance=instance,
        asset_selection=sorted(assets_of(mesh, job.asset_layer.asset_graph, [step.product for step in steps])),
        run_id=run_id,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags={
            ".dagster/repository": f"__repository__@{domain}",
            "mesh/author": getpass.getuser(),
            **orphans.process_tags(),
        },
    )
    failures = _failures(result)
    spent = _seconds(instance, run_id)
    history = mesh.history()
    outcomes = {}
    for step in steps:
        product = step.product
        served = history.served.get(product.key)
        mine = history.newest.get(product.key)
        released = mine is not None and mine.run_id == run_id
        names = _step_names(mesh, product)
        seconds = sum(spent[name] for name in spent if _works_for(name, names))
        why = step.why if released else _reason(mesh, product, failures)
        outcomes[product.key] = Outcome(
            product, "released" if released else "failed", why, served, round(seconds, 2), run_id
        )
    if not result.success and not failures:
        raise RuntimeError(f"run {run_id} failed after {time.perf_counter() - started:.0f} s without a failed step")
    return outcomes


def _step_names(mesh: Mesh, product: Product) -> tuple[str, ...]:
    """Names of the steps that work for one product, in their order."""
    domain = product.domain
    model = models(mesh, domain).get(product.key)
    built = [f"{domain}__{table.name}_build" for table in product.contract.tables]
    python = built if product.key in derived(mesh, domain) else [f"build_{product.name}"]
    return (
        *(f"{domain}__{table}" for table in product.raw_tables),
        *([f"{domain}__{model.model}_model", *built] if model else python),
        f"audit_{product.name}",
        f"publish_{product.name}",
    )


def _works_for(step: str, names: Sequence[str]) -> bool:
    # A step that builds several products is called build_a_and_b.
    parts = step.removeprefix("build_").split("_and_") if step.startswith("build_") else []
    return step in names or any(f"build_{part}" in names for part in parts)


def _failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Per failed step, in the order of the run, what it said."""
    import dagster as dg

    failures: dict[str, str] = {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_FAILURE and event.step_key:
            failures[event.step_key] = _said(event.step_failure_data.error)
    return failures


def _said(error: Any) -> str:
    """The text of the innermost error of ours; of a foreign one only its kind, since its text may quote a row."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    found, innermost = None, error
    while error is not None:
        innermost = error
        if error.cls_name in kinds:
            found = error.message.partition(": ")[2].strip()
        error = error.cause
    return found or f"unexpected {innermost.cls_name}; the run in the Dagster UI has its traceback"


def _reason(mesh: Mesh, product: Product, failures: dict[str, str]) -> str:
    """Why a product was not released: its own failed audit, its first failed step, or what it waits for."""
    names = _step_names(mesh, product)
    for step, said in failures.items():
        if not _works_for(step, names):
            continue
        found = last_audit(mesh.postgres, product.key) if step == f"audit_{product.name}" else None
        if found is not None and found.verdict == "failed":
            return str(audit_failed(found))
        return said
    waits = [key for key in product.inputs if key.split("/")[0] == product.domain]
    return f"not built: {', '.join(waits) or 'an earlier step'} failed"


def _seconds(instance: dg.DagsterInstance, run_id: str) -> dict[str, float]:
    """Seconds per step."""
    return {
        stats.step_key: stats.end_time - stats.start_time
        for stats in instance.get_run_step_stats(run_id)
        if stats.start_time and stats.end_time
    }
