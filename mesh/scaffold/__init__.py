"""New domains, products and models: the files a team then owns and edits, written once from facts.

Everything made here is put into place as `mesh add` does it: either all of it fits, or nothing is changed.
"""

from mesh.scaffold.domain import new_domain
from mesh.scaffold.major import drop_major, new_major
from mesh.scaffold.model import NewModel, new_model
from mesh.scaffold.product import NewProduct, deliver, new_product

__all__ = ["NewModel", "NewProduct", "deliver", "drop_major", "new_domain", "new_major", "new_model", "new_product"]
