"""Contracts to and from other formats.

Exports say every promise that the target format has a word for and name the others. They are made from the contract
itself, pages (HTML) by the catalogue's templates; only imports go through `datacontract-cli`, which is in the extra
`exchange`.
"""

from mesh.contract.exchange.exporting import EXPORTS, Exported, export
from mesh.contract.exchange.importing import IMPORTS, Imported, import_contract

__all__ = ["EXPORTS", "IMPORTS", "Exported", "Imported", "export", "import_contract"]
