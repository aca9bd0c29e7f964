"""The benchmark's rules in other tools' words; runs in the peers' environment and answers one request a line.

Started with a folder (`payments.parquet`, `claims.parquet`) and a tool's name; each line on standard input is one
validation, reading included, answered with one line of JSON: seconds and the rules that failed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

PATTERNS = {
    "payment_id": r"^P[0-9]{8}$",
    "postcode": r"^[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2}$",
    "email": r"^[^@ ]+@[^@ ]+\.[a-z]+$",
}
SETS = {
    "scheme": [f"scheme{n}" for n in range(8)],
    "status": ["new", "open", "paid", "refused", "closed"],
    "channel": ["web", "phone", "post"],
}
REQUIRED = ("payment_id", "claim_id", "amount", "scheme")
UNIQUE = ("payment_id", "reference")
MEAN = (4000, 5000)

Validate = Callable[[], list[str]]


def gx_pandas(folder: Path) -> Validate:
    import great_expectations as gx
    import pandas as pd

    x = gx.expectations
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    # Without the foreign key: a set of 100,000 values takes Great Expectations more than ten minutes.
    whole = context.data_sources.add_pandas("frame").add_dataframe_asset("asset").add_batch_definition_whole_dataframe

    def validate() -> list[str]:
        # As float: the mean of 100,000 decimals takes Great Expectations more than a minute.
        frame = pd.read_parquet(folder / "payments.parquet").astype({"amount": "float64"})
        between = x.ExpectColumnValuesToBeBetween
        suite = gx.ExpectationSuite(
            name="payments",
            expectations=[
                *(x.ExpectColumnValuesToNotBeNull(column=name) for name in REQUIRED),
                between(column="amount", min_value=0),
                between(column="amount", max_value=9000),
                between(column="risk", min_value=0),
                between(column="risk", max_value=1),
                between(column="submitted_at", min_value=datetime(2024, 1, 1)),
                between(column="paid_on", min_value=date(2024, 1, 1)),
                *(x.ExpectColumnValuesToBeInSet(column=name, value_set=values) for name, values in SETS.items()),
                *(x.ExpectColumnValuesToMatchRegex(column=name, regex=regex) for name, regex in PATTERNS.items()),
                *(x.ExpectColumnValuesToBeUnique(column=name) for name in UNIQUE),
                x.ExpectColumnMeanToBeBetween(column="amount", min_value=MEAN[0], max_value=MEAN[1]),
            ],
        )
        definition = next(definitions)
        outcome = definition.get_batch({"dataframe": frame}).validate(suite, result_format="SUMMARY")
        if len(outcome.results) != 19:
            raise RuntimeError(f"{len(outcome.results)} expectations were run")
        return [str(result.expectation_config.type) for result in outcome.results if not result.success]

    definitions = (whole(str(number)) for number in range(1_000_000))
    return validate


def pointblank_polars(folder: Path) -> Validate:
    import pointblank as pb
    import polars as pl

    def validate() -> list[str]:
        # Pointblank looks for NaN in every column of numbers, which polars refuses for DECIMAL.
        frame = pl.read_parquet(folder / "payments.parquet").with_columns(pl.col("amount").cast(pl.Float64))
        known = pl.read_parquet(folder / "claims.parquet")["claim_id"].to_list()
        plan = pb.Validate(data=frame).col_vals_not_null(columns=list(REQUIRED))
        plan = plan.col_vals_ge("amount", 0).col_vals_le("amount", 9000).col_vals_ge("risk", 0).col_vals_le("risk", 1)
        plan = plan.col_vals_ge("submitted_at", datetime(2024, 1, 1))
        plan = plan.col_vals_ge("paid_on", date(2024, 1, 1), na_pass=True)
        for name, values in {**SETS, "claim_id": known}.items():
            plan = plan.col_vals_in_set(name, values)
        for name, regex in PATTERNS.items():
            plan = plan.col_vals_regex(name, regex)
        for name in UNIQUE:
            plan = plan.rows_distinct(columns_subset=[name])
        low, high = MEAN
        plan = plan.col_avg_ge("amount", low).col_avg_le("amount", high)
        done = plan.interrogate(collect_extracts=False)
        return [] if done.all_passed() else [str(step.i) for step in done.validation_info if not step.all_passed]

    return validate


def pandera_polars(folder: Path) -> Validate:
    import pandera.polars as pa
    import polars as pl

    check = pa.Check

    def column(name: str, *checks: pa.Check, nullable: bool = True) -> pa.Column:
        extra = [check.isin(SETS[name])] if name in SETS else []
        extra += [check.str_matches(PATTERNS[name])] if name in PATTERNS else []
        return pa.Column(checks=[*checks, *extra], nullable=nullable and name not in REQUIRED, unique=name in UNIQUE)

    def validate() -> list[str]:
        frame = pl.read_parquet(folder / "payments.parquet")
        known = pl.read_parquet(folder / "claims.parquet")["claim_id"].to_list()
        low, high = MEAN
        mean = check(lambda data: data.lazyframe.select(pl.col(data.key).mean().is_between(low, high)))
        schema = pa.DataFrameSchema(
            {
                "payment_id": column("payment_id"),
                "claim_id": column("claim_id", check.isin(known)),
                "reference": column("reference"),
                "postcode": column("postcode"),
                "email": column("email"),
                "scheme": column("scheme"),
                "status": column("status"),
                "channel": column("channel"),
                "amount": column("amount", check.ge(0), check.le(9000), mean),
                "risk": column("risk", check.ge(0), check.le(1)),
                "submitted_at": column("submitted_at", check.ge(datetime(2024, 1, 1))),
                "paid_on": column("paid_on", check.ge(date(2024, 1, 1))),
            }
        )
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            return [str(row) for row in error.failure_cases["check"].unique().to_list()]
        return []

    return validate


TOOLS = {"gx_pandas": gx_pandas, "pointblank": pointblank_polars, "pandera": pandera_polars}


def main() -> None:
    validate = TOOLS[sys.argv[2]](Path(sys.argv[1]))
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        failed = validate()
        print(json.dumps({"seconds": time.perf_counter() - started, "failed": failed}), flush=True)


if __name__ == "__main__":
    main()
