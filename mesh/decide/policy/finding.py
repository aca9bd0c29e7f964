"""The policies of a mesh, and the columns that each may read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesh.decide.policy.reading import products_read
from mesh.errors import NotFound, ProjectError

if TYPE_CHECKING:
    from mesh.project import Project


def policy_files(root: Path) -> dict[str, Path]:
    """Every policy file by its key, `domain/name`."""
    files = sorted((root / "data_products").glob("*/policies/*.yaml"))
    return {f"{file.parent.parent.name}/{file.stem}": file for file in files}


def find_policy(root: Path, key: str) -> Path:
    """The file of a policy.

    Raises:
        NotFound: there is none; the message lists what there is.
    """
    files = policy_files(root)
    if key not in files:
        raise NotFound(f"There is no policy {key}. Policies of this mesh: {', '.join(files) or 'none'}.")
    return files[key]


def columns_of(path: Path, project: Project) -> dict[str, str]:
    """The columns of the products that a policy reads, with their types.

    Raises:
        ProjectError: it reads no such product, or two of them have a column of one name and two types.
    """
    found: dict[str, str] = {}
    for key in products_read(path):
        if key not in project.products:
            raise ProjectError(
                f"names {key}, which no domain publishes.",
                file=path,
                field="reads",
                allowed=", ".join(project.products),
            )
        for table in project.products[key].contract.tables:
            for column in table.columns:
                if found.setdefault(column.name, column.physical_type) != column.physical_type:
                    what = f"{column.name} is {found[column.name]} in one product and {column.physical_type} in {key}."
                    raise ProjectError(what, file=path, field="reads", allowed="products whose columns agree")
    return found
