"""The audit's figures: a million rows of twelve columns under twenty rules, beside other tools in the same run."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import yaml

from benchmarks.contract_peers import MEAN, PATTERNS, REQUIRED, SETS, TOOLS, UNIQUE
from benchmarks.report import Figure, arguments, show
from benchmarks.running import ROOT, run
from mesh.contract import parse_contract
from mesh.contract.evolution import difference

ROWS = 1_000_000
PEERS = ("great-expectations==1.24.1", "pointblank==1.1.1", "pandera[polars]==0.35.0", "polars==2.1.0", "pyarrow")
# A validation of these takes so long that a few tell enough.
SLOW, SLOW_REPEATS = ("gx_pandas",), 3
BARS = {"gx_pandas": 25.0, "pointblank": 1.2, "pandera": 1.2}

PAYMENTS = """
select
    'P' || lpad(range::varchar, 8, '0') as payment_id,
    (range * 7919) % 100000 as claim_id,
    'R' || substr(md5(range::varchar), 1, 15) || range as reference,
    'AB' || (range % 90 + 10) || ' ' || (range % 9) || 'CD' as postcode,
    'person' || (range % 250000) || '@example.org' as email,
    'scheme' || (range % 8) as scheme,
    ['new', 'open', 'paid', 'refused', 'closed'][range % 5 + 1] as status,
    ['web', 'phone', 'post'][range % 3 + 1] as channel,
    ((range * 31) % 900000 / 100)::decimal(14, 2) as amount,
    (range % 1000) / 1000.0::double as risk,
    timestamp '2025-01-01' + interval (range % 30000000) second as submitted_at,
    case when range % 10 = 0 then null else date '2025-01-01' + (range % 365)::integer end as paid_on
from range({rows})
"""
TYPES = {
    "claim_id": "integer", "amount": "number", "risk": "number", "submitted_at": "timestamp", "paid_on": "date",
}  # fmt: skip
BOUNDS = {
    "amount": {"minimum": 0, "maximum": 9000},
    "risk": {"format": "f64", "minimum": 0, "maximum": 1},
    "submitted_at": {"minimum": "2024-01-01T00:00:00"},
    "paid_on": {"minimum": "2024-01-01"},
}
COLUMNS = (
    "payment_id", "claim_id", "reference", "postcode", "email", "scheme", "status", "channel", "amount", "risk",
    "submitted_at", "paid_on",
)  # fmt: skip
DOMAIN = """\
apiVersion: v1.0.0
kind: DataProduct
id: pay
name: Pay
version: 1.0.0
status: active
domain: pay
outputPorts:
  - {name: payments, version: 1.0.0, contractId: pay-payments}
"""


def main() -> None:
    options = arguments(__doc__ or "")
    figures = audits(repeats=3 if options.quick else 7, memory_rows=ROWS if options.quick else 10 * ROWS)
    figures.append(comparing(repeats=5 if options.quick else 21))
    show(figures, as_json=options.as_json, title=f"Contracts, {ROWS:,} rows, 12 columns, 20 rules")


def comparing(repeats: int) -> Figure:
    """Two texts of a contract of 200 columns read from their bytes, compared and graded, a consumer looked up."""
    columns = [
        {
            "name": f"c{place}",
            "logicalType": "integer",
            "physicalType": "INTEGER",
            "description": f"Column {place}.",
            "classification": "internal",
            "required": place % 2 == 0,
            "logicalTypeOptions": {"minimum": 0, "maximum": place + 1},
            "quality": [{"id": "known", "metric": "nullValues", "mustBeLessThan": 5, "unit": "percent"}],
        }
        for place in range(200)
    ]
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "wide", "version": "1.0.0", "status": "active"}
    place = {"domain": "pay", "dataProduct": "wide"}

    def text() -> bytes:
        schema = [{"name": "wide", "logicalType": "object", "properties": columns}]
        return yaml.safe_dump({**head, **place, "schema": schema}).encode()

    before = text()
    for column in columns[::10]:
        column["logicalTypeOptions"] = {"minimum": 0, "maximum": 1_000}
    for column in columns[5::10]:
        column["description"] = "Other words."
    after = text()
    file = Path("contracts/pay/wide.yaml")
    seconds, alone = [], []
    for _ in range(repeats):
        parse_contract.cache_clear()
        started = time.perf_counter()
        old, new = parse_contract(before, file), parse_contract(after, file)
        read = time.perf_counter()
        changes = difference(old, new, base="release 1").changes
        seconds.append(time.perf_counter() - started)
        alone.append(time.perf_counter() - read)
        assert len(changes) == 40
    comparison = round(1000 * statistics.median(alone), 1)
    return Figure("diff_ms", 1000 * statistics.median(seconds), "ms", 200, peers={"comparison_alone_ms": comparison})


def contract() -> str:
    """The benchmark's contract as JSON, which is YAML."""
    properties = []
    for name in COLUMNS:
        entry: dict[str, object] = {"name": name, "logicalType": TYPES.get(name, "string")}
        options = BOUNDS.get(name, {}) | ({"pattern": PATTERNS[name]} if name in PATTERNS else {})
        entry |= {"logicalTypeOptions": options} if options else {}
        entry |= {"physicalType": "DECIMAL(14,2)"} if name == "amount" else {}
        entry |= {"required": True} if name in REQUIRED else {}
        entry |= {"unique": True} if name in UNIQUE else {}
        if name in SETS:
            entry["quality"] = [{"metric": "invalidValues", "arguments": {"validValues": SETS[name]}, "mustBe": 0}]
        entry |= {"relationships": [{"to": "claims.claim_id"}]} if name == "claim_id" else {}
        properties.append(entry)
    mean = {"type": "sql", "name": "mean", "query": "select avg(amount) from payments", "mustBeBetween": list(MEAN)}
    claims = {"name": "claims", "properties": [{"name": "claim_id", "logicalType": "integer"}]}
    return json.dumps({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "pay-payments", "version": "1.0.0", "status": "active",
        "domain": "pay", "dataProduct": "payments",
        "schema": [{"name": "payments", "properties": properties, "quality": [mean]}, claims],
    })  # fmt: skip


def audits(repeats: int, memory_rows: int) -> list[Figure]:
    """Our audit and each peer in turn, so that a slow moment of the machine falls on all of them."""
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        folder = Path(place)
        python = _peers(folder / "peers")
        for name, text in (("contracts/pay/payments.yaml", contract()), ("data_products/pay/domain.yaml", DOMAIN)):
            path = folder / "project" / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
        environment = os.environ | {
            "MESH_HOME": str(folder / "home"), "MESH_PROJECT": str(folder / "project"), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        try:
            _build(environment, ROWS, folder)
            tools = {"ours": _Tool([sys.executable, "-m", "benchmarks.contracts", "serve"], environment)}
            for name in TOOLS:
                command = [str(python), str(ROOT / "benchmarks" / "contract_peers.py"), str(folder), name]
                tools[name] = _Tool(command, dict(os.environ))
            times: dict[str, list[float]] = {name: [] for name in tools}
            for number in range(repeats + 1):
                for name, tool in tools.items():
                    if name in SLOW and number > SLOW_REPEATS:
                        continue
                    seconds = tool.once()["seconds"]
                    if number:  # The first validation of each only warms it up.
                        times[name].append(seconds)
            for tool in tools.values():
                tool.close()
            _build(environment, memory_rows, None)
            large = _Tool([sys.executable, "-m", "benchmarks.contracts", "serve"], environment)
            peak = large.once()["peak_gib"]
            large.close()
        finally:
            subprocess.run([sys.executable, "-m", "benchmarks.contracts", "stop"], env=environment, check=False)
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    ours = middle.pop("ours")
    figures = [Figure("audit_seconds_per_million", ours, "s", 0.35, peers=middle)]
    figures += [Figure(f"audit_vs_{name}", middle[name] / ours, "x", BARS[name], "least") for name in TOOLS]
    return [*figures, Figure("audit_gib", peak, f"GiB at {memory_rows:,} rows", 4)]


def _peers(place: Path) -> Path:
    """The interpreter of a new environment with the peers."""
    run([sys.executable, "-m", "venv", str(place)], dict(os.environ))
    python = place / "bin" / "python"
    run([str(python), "-m", "pip", "install", "-q", *PEERS], dict(os.environ))
    return python


def _build(environment: dict[str, str], rows: int, export: Path | None) -> None:
    command = [sys.executable, "-m", "benchmarks.contracts", "build", str(rows), str(export or "")]
    run(command, environment)


class _Tool:
    """A process that validates once for every line it is given."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._until("ready")

    def once(self) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        told: dict[str, float] = json.loads(self._until("{"))
        if told["failed"]:
            sys.exit(f"Good data failed: {told['failed']}")
        return told

    def close(self) -> None:
        self._process.communicate()

    def _until(self, beginning: str) -> str:
        """The next line that begins so; the tools print notices of their own."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line
        sys.exit(f"{' '.join(map(str, self._process.args))} ended with {self._process.wait()}")  # type: ignore[arg-type]


def build(rows: int, export: str) -> None:
    """Make the candidate, and Parquet files of it for the peers."""
    from mesh.session import open_mesh

    with open_mesh().writer() as connection:
        connection.execute("create schema if not exists pay_build")
        connection.execute(f"create or replace table pay_build.payments as {PAYMENTS.format(rows=rows)}")
        connection.execute("create or replace table pay_build.claims as select range as claim_id from range(100000)")
        for name in ("payments", "claims") if export else ():
            connection.execute(f"copy (from pay_build.{name}) to '{export}/{name}.parquet'")


def serve() -> None:
    """Audit the newest candidate once a line."""
    from mesh.audit import audit
    from mesh.lake import current_snapshot
    from mesh.session import open_mesh

    mesh = open_mesh()
    terms = mesh.project.product("pay/payments").contract
    with mesh.writer() as connection:
        print("ready", flush=True)
        for _ in sys.stdin:
            snapshot = current_snapshot(connection)
            started = time.perf_counter()
            found = audit(connection, terms, domain_schema="pay_build", snapshot=snapshot, now=datetime(2026, 1, 1))
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            failed = [result.message for result in found.results if not result.passed]
            print(json.dumps({"seconds": seconds, "failed": failed, "peak_gib": peak}), flush=True)


def stop() -> None:
    from mesh import postgres
    from mesh.settings import get_settings

    postgres.stop(get_settings())


# What the benchmark starts itself with, each in a process of its own so that memory is told apart.
PARTS: dict[str, Callable[[], None]] = {
    "build": lambda: build(int(sys.argv[2]), sys.argv[3]),
    "serve": serve,
    "stop": stop,
}

if __name__ == "__main__":
    PARTS.get(sys.argv[1] if len(sys.argv) > 1 else "", main)()
