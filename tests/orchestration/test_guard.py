"""No row value reaches what Dagster keeps of a failed step."""

from __future__ import annotations

import duckdb
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from dagster_project.guard import values_kept_out, without_values
from mesh.errors import BuildFailed


def test_an_engine_error_is_told_without_the_value_it_quotes() -> None:
    """Dagster stores the whole chain of causes, so the original must not stand behind ours."""
    with pytest.raises(BuildFailed) as caught, values_kept_out("claims/claims"):
        duckdb.sql("select cast(name as integer) from (values ('AB123456C'), ('Jo O''Neil')) t(name)").fetchall()
    stored = serializable_error_info_from_exc_info((BuildFailed, caught.value, caught.tb))
    assert "AB123456C" not in stored.to_string().replace("".join(stored.stack), "")
    assert stored.cause is None
    assert stored.context is None
    assert str(caught.value).startswith(
        "claims/claims: DuckDB refused (ConversionException): Conversion Error: Could not"
    )


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "Could not convert string 'AB123456C' to INT32\n\nLINE 1: select 'AB123456C'",
            "Could not convert string '…' to INT32.",
        ),
        ("Could not convert string 'Jo O'Neil' to INT32", "Could not convert string '…' to INT32."),
        ('Constraint failed: duplicate key "claim_id: 17"', "Constraint failed: duplicate key '…'."),
        ('column "amount" not found.', 'column "amount" not found.'),
    ],
)
def test_quoted_text_is_taken_out_and_names_stay(said: str, kept: str) -> None:
    assert without_values(said) == kept
