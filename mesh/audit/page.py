"""A report page of an audit that opens without a network.

Great Expectations' stock page loads styles, scripts, fonts and a logo from outside hosts: a page about personal data
must not tell anyone that it was opened. Its own templates still lay out sections and tables; only the frame around
them is ours.
"""

from __future__ import annotations

from html import escape
from typing import Any

from mesh.audit.gx import to_validation_result, with_great_expectations
from mesh.audit.results import Audit
from mesh.contract.model import Contract, Table

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #00703c; --bad: #d4351c; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
h1 { font-size: 1.4rem; } h5 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; } h6 { font-size: 1rem; margin: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }
td:first-child { white-space: nowrap; }
hr { border: 0; } p, ul { margin: .3rem 0; padding-left: 0; list-style: none; }
nav a { display: inline-block; margin-right: .8rem; }
.badge { border: 1px solid var(--line); border-radius: .3rem; padding: 0 .3rem; }
.fas { font-style: normal; } .text-success { color: var(--good); } .text-danger { color: var(--bad); }
.fa-check-circle::before { content: "\\2714 passed"; } .fa-times::before { content: "\\2718 failed"; }
.fa-exclamation-triangle::before { content: "! could not be run"; }
a[data-toggle] { color: inherit; text-decoration: none; pointer-events: none; }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ heading | e }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>{{ heading | e }}</h1>
<p>{{ subheading | e }}</p>
<nav aria-label="Sections">
{% for section in sections %}<a href="#section-{{ loop.index }}">{{ section["section_name"] | e }}</a>{% endfor %}
</nav>
{% for section in sections %}
{% set section_loop = loop -%}
{% include 'section.j2' %}
{% endfor %}
</main>
</body>
</html>
"""


def render(audit: Audit, contract: Contract, table: Table) -> str:
    """One table's audit as an HTML page that refers to nothing outside itself.

    Built from Great Expectations' own page renderer; takes seconds the first time, for its import.
    """
    with_great_expectations()
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView
    from jinja2 import ChoiceLoader, DictLoader

    result = to_validation_result(audit, contract, table)
    for entry in result.results:
        # The stock templates put both into the page as they are.
        entry.expectation_config.description = escape(entry.expectation_config.description)
        if "observed_value" in entry.result:
            entry.result["observed_value"] = escape(entry.result["observed_value"])
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(result)
    view: Any = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([DictLoader({"page.j2": PAGE}), view.env.loader])
    rows = audit.rows.get(table.name)
    counted = "no such table" if rows is None else f"{rows:,} rows"
    return str(
        view.render(
            document,
            heading=f"{contract.name}: {table.name}, {audit.verdict}",
            subheading=(
                f"Contract {contract.version} held against snapshot {audit.snapshot} at {audit.at:%Y-%m-%d %H:%M} UTC; "
                f"{counted}, {audit.quarantined.get(table.name, 0):,} quarantined."
            ),
            style=STYLE,
        )
    )
