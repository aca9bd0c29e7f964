"""A contract as one HTML page, drawn by `datacontract-cli`, without what its page loads from other hosts."""

from __future__ import annotations

import re

from mesh.contract.exchange.extra import needs_extra
from mesh.contract.model import Contract

SCRIPT = re.compile(r"<script\b[^>]*>.*?</script>", re.DOTALL | re.IGNORECASE)


def to_page(contract: Contract) -> str:
    """The page, complete in itself: it runs no script, so its diagram is shown as the text it is drawn from.

    Raises:
        ServiceError: the extra `exchange` is not installed.
    """
    with needs_extra():
        from datacontract.export.html_exporter import to_html
    page: str = to_html(contract.odcs)
    return SCRIPT.sub("", page)
