"""Models as products: a definition in, a trained, measured and registered champion out, scores with reasons.

    definition = load_definition(path)
    table = training_frame(con, definition, relation_for=relation_for, as_of=moment)
    everybody = population_frame(con, definition, relation_for=relation_for)
    trained = train(definition, table, context, population=everybody)
    registered = register(trained, definition, context)
    model = champion(definition, context)
    scores = score(model, rows)

Importing this package imports neither LightGBM nor MLflow; what needs them loads them.
"""

from mesh.model.bundle import LoadedModel, load_bundle, write_bundle
from mesh.model.calibration import Bands, Calibration, fit_bands
from mesh.model.context import ContractRef, ReleaseRef, TrainingContext, fingerprint
from mesh.model.definition import ChosenBy, Costs, Label, ModelDefinition, Search, Split
from mesh.model.derived import Made, Making, maker
from mesh.model.fairness import GroupFigure, group_figures
from mesh.model.frame import LABEL, RelationFor, population_frame, scoring_frame, training_frame
from mesh.model.gates import Gate, Verdict
from mesh.model.ledger import Ledger, ModelEvent, Standing
from mesh.model.metrics import Metric, evaluate
from mesh.model.reading import load_definition
from mesh.model.registration import RegisteredModel, find_registered, register
from mesh.model.registry import Registry, Version, champion, load_champion, registered_name, versions
from mesh.model.report import ColumnReport, read_columns
from mesh.model.scoring import score
from mesh.model.tracking import prepare_tracking
from mesh.model.training import TrainedModel, describe, train

__all__ = [
    "LABEL",
    "Bands",
    "Calibration",
    "ChosenBy",
    "ColumnReport",
    "ContractRef",
    "Costs",
    "Gate",
    "GroupFigure",
    "Label",
    "Ledger",
    "LoadedModel",
    "Made",
    "Making",
    "Metric",
    "ModelDefinition",
    "ModelEvent",
    "RegisteredModel",
    "Registry",
    "RelationFor",
    "ReleaseRef",
    "Search",
    "Split",
    "Standing",
    "TrainedModel",
    "TrainingContext",
    "Verdict",
    "Version",
    "champion",
    "describe",
    "evaluate",
    "find_registered",
    "fingerprint",
    "fit_bands",
    "group_figures",
    "load_bundle",
    "load_champion",
    "load_definition",
    "maker",
    "population_frame",
    "prepare_tracking",
    "read_columns",
    "register",
    "registered_name",
    "score",
    "scoring_frame",
    "train",
    "training_frame",
    "versions",
    "write_bundle",
]
