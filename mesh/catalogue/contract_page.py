"""A contract as one page, complete in itself: what it promises, to whom, and its text."""

from __future__ import annotations

from mesh.catalogue.rendering import about, render
from mesh.contract import Contract, not_executed


def contract_page(contract: Contract) -> str:
    """The page as HTML; it loads nothing, and the same contract gives the same bytes."""
    return render(
        "contract.html",
        root="",
        searching=True,
        contract=contract,
        rules=contract.rules,
        left_out=not_executed(contract),
        about=about(contract),
    )
