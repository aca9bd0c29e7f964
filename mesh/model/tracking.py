"""MLflow made quiet, pickle-free and lake-aware; the only place that prepares it.

Importing `mlflow` takes seconds and reads its switches at that time, so they are set first and the import is last.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from mesh.errors import ServiceError

if TYPE_CHECKING:
    from mlflow import MlflowClient

SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_SCHEMA_DETAILS": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Environment of every process that uses MLflow: no telemetry, no pickle, no bars, no values in error texts.

`OMP_WAIT_POLICY` because MLflow's flavours import LightGBM too (see `mesh.model.engine`)."""

NOISY = ("alembic", "mlflow", "mlflow.store.db.utils", "mlflow.utils.environment", "git")


def prepare_tracking(uri: str) -> MlflowClient:
    """Point MLflow's tracking and registry at `uri`, silence it, forbid pickle, and register the lake as a source.

    The first call on an empty database creates MLflow's tables (a few seconds).

    Raises:
        ServiceError: the tracking store cannot be opened.
    """
    os.environ.update(SWITCHES)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)

    import mlflow
    from mlflow.data.dataset_source_registry import get_registered_sources, register_dataset_source
    from mlflow.exceptions import MlflowException

    from mesh.model.lineage import LakeReleaseSource

    if LakeReleaseSource not in get_registered_sources():
        register_dataset_source(LakeReleaseSource)
    for name in NOISY:  # MLflow sets its own levels when it is imported
        logging.getLogger(name).setLevel(logging.ERROR)
    if mlflow.get_tracking_uri() != uri:
        mlflow.set_tracking_uri(uri)
    if mlflow.get_registry_uri() != uri:
        mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient(uri, uri)
    try:
        client.search_registered_models(max_results=1)
    except MlflowException as error:
        raise ServiceError(
            "MLflow's tracking store cannot be opened. See that its Postgres is up (`mesh up`), then try again."
        ) from error
    return client
