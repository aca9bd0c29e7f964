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

from mesh.model.assembly import SCORED, Assembly, assemble, facts_of
from mesh.model.bundle import LoadedModel, load_bundle, write_bundle
from mesh.model.calibration import Bands, Calibration, fit_bands
from mesh.model.context import ContractRef, ReleaseRef, TrainingContext, fingerprint
from mesh.model.definition import ChosenBy, Costs, Groups, Label, ModelDefinition, Search, Split
from mesh.model.derived import Made, Making, maker
from mesh.model.fairness import GroupFigure, group_figures
from mesh.model.feedback import feedback
from mesh.model.frame import LABEL, RelationFor, population_frame, scoring_frame, training_frame
from mesh.model.gates import Gate, Verdict
from mesh.model.groups import Fairness, groups_of, measure, read_groups
from mesh.model.ledger import Ledger, ModelEvent, Standing
from mesh.model.metrics import Metric, evaluate
from mesh.model.proxies import Proxy
from mesh.model.reading import load_definition, load_definitions
from mesh.model.registration import RegisteredModel, find_registered, register
from mesh.model.registry import Registry, Version, champion, learned_from, load_champion, registered_name, versions
from mesh.model.report import ColumnReport, read_columns
from mesh.model.scoring import score
from mesh.model.tracking import prepare_tracking
from mesh.model.training import TrainedModel, describe, train

__all__ = [
    "LABEL",
    "SCORED",
    "Assembly",
    "Bands",
    "Calibration",
    "ChosenBy",
    "ColumnReport",
    "ContractRef",
    "Costs",
    "Fairness",
    "Gate",
    "GroupFigure",
    "Groups",
    "Label",
    "Ledger",
    "LoadedModel",
    "Made",
    "Making",
    "Metric",
    "ModelDefinition",
    "ModelEvent",
    "Proxy",
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
    "assemble",
    "champion",
    "describe",
    "evaluate",
    "facts_of",
    "feedback",
    "find_registered",
    "fingerprint",
    "fit_bands",
    "group_figures",
    "groups_of",
    "learned_from",
    "load_bundle",
    "load_champion",
    "load_definition",
    "load_definitions",
    "maker",
    "measure",
    "population_frame",
    "prepare_tracking",
    "read_columns",
    "read_groups",
    "register",
    "registered_name",
    "score",
    "scoring_frame",
    "train",
    "training_frame",
    "versions",
    "write_bundle",
]
