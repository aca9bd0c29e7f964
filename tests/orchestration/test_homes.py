"""A model that the lake put into another schema is found, taken away, and never published."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagster_project.dbt import _check_homes
from mesh.errors import ServiceError
from mesh.lake import create_schema, homes
from mesh.session import Mesh


def test_a_view_in_a_foreign_schema_is_taken_away_and_said(make_mesh: Callable[..., Mesh]) -> None:
    mesh = make_mesh()
    with mesh.writer() as connection:
        for schema in ("claims", "insight_build"):
            create_schema(connection, schema)
        for view in ("stayed", "strayed"):
            connection.execute(f"create view lake.insight_build.{view} as select 1 as one")
    _check_homes(mesh, {"stayed": "insight_build", "strayed": "insight_build"})
    with mesh.postgres.cursor() as cursor:
        cursor.execute(
            "update ducklake_view set schema_id = (select schema_id from ducklake_schema where schema_name = 'claims') "
            "where view_name = 'strayed'"
        )

    with pytest.raises(ServiceError, match="did not keep strayed where it belongs"):
        _check_homes(mesh, {"stayed": "insight_build", "strayed": "insight_build"})

    assert homes(mesh.postgres, ["stayed", "strayed"]) == {"stayed": {"insight_build"}}
