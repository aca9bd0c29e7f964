"""`mesh adopt`: the models, descriptions and tests of a dbt project as contracts and products of a domain.

Whoever knows dbt reads the project into plain data (`ForeignProject`); here it becomes files, without any dbt.
"""

from mesh.scaffold.adopt.foreign import (
    ForeignColumn,
    ForeignModel,
    ForeignProject,
    ForeignTable,
    ForeignTest,
    Layer,
    Note,
    base_model,
)
from mesh.scaffold.adopt.planning import Adoption, check_adoptable, plan_adoption

__all__ = [
    "Adoption",
    "ForeignColumn",
    "ForeignModel",
    "ForeignProject",
    "ForeignTable",
    "ForeignTest",
    "Layer",
    "Note",
    "base_model",
    "check_adoptable",
    "plan_adoption",
]
