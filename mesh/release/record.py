"""The release record: everything a consumer, an auditor or a replay may ask about one release.

It is JSON in the `commit_extra_info` of the lake commit that repoints the view, so the view and its
record cannot disagree.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mesh.contract.majors import published_name
from mesh.errors import UsageError
from mesh.lineage import ColumnLineage

MARK = "insight-mesh/release/1"
"""First value of every record: tells our commits from any other commit of the lake."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputRelease(_Frozen):
    """An upstream release that a candidate was built from.

    Attributes:
        snapshot: the data snapshot that the upstream view pointed to.
    """

    product: str
    release: int
    snapshot: int

    def __str__(self) -> str:
        return f"{self.product}@{self.release}"


class SealedFileRecord(_Frozen):
    """A file of the manifest: path, size in bytes, sha256 in hex."""

    table: str
    path: str
    bytes: int
    sha256: str


class Release(_Frozen):
    """One publish, rollback or retirement of a product.

    Attributes:
        release: 1, 2, 3, ... per product; a rollback repeats the number it went back to.
        columns: the published columns of each table, in order.
        snapshot: the lake snapshot that the views point to (the data).
        commit: the lake snapshot that the publish itself made (the whole mesh as of this release).
        inputs_snapshot: the snapshot at which the build read every upstream product.
        fingerprint: digest of all that the candidate was made from; equal means nothing to do.
        rows: published rows per table. quarantined: the same for rows moved aside.
        accounting: how source rows add up, where the product has source files.
        content: an order-independent digest per table.
        audit: verdict, counts and the failed or warning rules.
        lineage: where the columns of each table come from.
    """

    mark: str = MARK
    kind: Literal["release", "rollback", "retired"] = "release"
    product: str
    release: int
    contract_version: str
    contract_hash: str
    columns: dict[str, tuple[str, ...]]
    snapshot: int
    inputs_snapshot: int | None = None
    inputs: tuple[InputRelease, ...] = ()
    fingerprint: str
    code_revision: str
    run_id: str
    author: str
    why: str = ""
    rows: dict[str, int]
    quarantined: dict[str, int] = {}
    accounting: dict[str, int] = {}
    content: dict[str, str] = {}
    audit: dict[str, Any]
    seconds: float = 0.0
    details: dict[str, Any] = {}
    lineage: dict[str, tuple[ColumnLineage, ...]] = {}
    files: tuple[SealedFileRecord, ...] = ()
    contract_text: str = ""
    # Known once committed, so never part of the stored record:
    commit: int = 0
    published_at: datetime | None = None

    @property
    def reference(self) -> str:
        """`domain/product@release`, as every command takes it."""
        return f"{self.product}@{self.release}"

    @property
    def major(self) -> int:
        return int(self.contract_version.split(".")[0])

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def views(self) -> tuple[str, ...]:
        """The public views that this release repointed."""
        domain = self.product.split("/")[0]
        return tuple(f"{domain}.{published_name(table, self.major)}" for table in self.tables)

    def as_input(self) -> InputRelease:
        return InputRelease(product=self.product, release=self.release, snapshot=self.snapshot)

    def stored(self) -> str:
        """The JSON text that goes into the commit."""
        return self.model_dump_json(exclude={"commit", "published_at"})


_REFERENCE = re.compile(r"(?P<product>[a-z0-9_]+/[a-z0-9_]+)@(?P<release>\d+)")


def parse_reference(text: str) -> tuple[str, int]:
    """`claims/claims@3` as ("claims/claims", 3).

    Raises:
        UsageError: the text is of another form.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a release. Allowed: DOMAIN/PRODUCT@NUMBER, for example claims/claims@3")
    return match["product"], int(match["release"])
