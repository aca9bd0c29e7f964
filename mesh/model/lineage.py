"""Lake releases as MLflow dataset inputs that anybody can read back.

MLflow parses a dataset source only if its class is registered. `prepare_tracking` registers this one for the mesh;
the entry point `mlflow.dataset_source` does it for every other process that has the mesh installed. Only the name of
a release is kept, never rows, columns' values or a path.
"""

from __future__ import annotations

from typing import Any

from mlflow.data.dataset_source import DatasetSource

from mesh.errors import ModelError


class LakeReleaseSource(DatasetSource):  # type: ignore[misc]
    """A release of a data product: which product, which release, which lake snapshot, audited by which contract."""

    def __init__(
        self, product: str, release: int, snapshot: int, contract_version: str = "", contract_hash: str = ""
    ) -> None:
        self.product, self.release, self.snapshot = product, release, snapshot
        self.contract_version, self.contract_hash = contract_version, contract_hash

    @staticmethod
    def _get_source_type() -> str:
        return "lake_release"

    def load(self) -> str:
        """The release as the mesh names it, `domain/product@release`; open it with the mesh's own reader."""
        return f"{self.product}@{self.release}"

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> LakeReleaseSource:
        raise ModelError("A lake release is named by its parts, not found from a raw source.")

    def to_dict(self) -> dict[str, Any]:
        return {
            "product": self.product,
            "release": self.release,
            "snapshot": self.snapshot,
            "contract_version": self.contract_version,
            "contract_hash": self.contract_hash,
        }

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> LakeReleaseSource:
        return cls(**source_dict)
