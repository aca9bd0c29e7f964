"""Tables for people: what came from a delivered file is shown as text, whatever stands in it."""

from __future__ import annotations

import pytest

from mesh.console import listing


def test_cells_are_text_and_never_markup_or_commands_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"file": "[bold]a[/nothing].csv", "note": "\x1b[2Jgone\x07", "rows": 1200}]
    listing(rows, as_json=False, title="Files", empty="None.")
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown == ["Files", "file note rows", "[bold]a[/nothing].csv \\x1b[2Jgone\\x07 1,200"]
