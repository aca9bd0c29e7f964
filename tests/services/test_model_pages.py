"""The page of a model: what its monitoring and fairness products publish, as pictures and tables."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import uvicorn

from services.pages.app import create_app
from services.pages.charts import Point, interval_chart, line_chart, nice_ticks
from tests.model_desk import MODEL, Desk, contract_text, desk
from tests.services.test_pages import Outline

WATCHED, COMPARED = "desk/watch", "desk/fairness"
KEY = ", primaryKey: true, primaryKeyPosition: "
WATCH = [
    ("period", "VARCHAR", f"internal{KEY}1"),
    ("stage", "VARCHAR", f"internal{KEY}2"),
    ("measure", "VARCHAR", f"internal{KEY}3"),
    ("subject", "VARCHAR", f"internal{KEY}4"),
    *((name, "DOUBLE", "internal") for name in ("value", "low", "high", "watch", "breach")),
    ("rows", "BIGINT", "internal"),
    ("status", "VARCHAR", "internal"),
]
FAIR = [
    ("attribute", "VARCHAR", f"internal{KEY}1"),
    ("group_name", "VARCHAR", f"internal{KEY}2"),
    ("figure", "VARCHAR", f"internal{KEY}3"),
    ("sample_rows", "BIGINT", "internal"),
    *((name, "DOUBLE", "internal") for name in ("value", "rest_value", "p_adjusted")),
    ("verdict", "VARCHAR", "internal"),
]
GROUPS = "groups: {product: cases/features, columns: [kind]}\n"
OUTPUTS = f"outputs: {{monitoring: {WATCHED}, fairness: {COMPARED}}}\n"


def _watched(period: str, measure: str, subject: str, value: float, **more: Any) -> dict[str, Any]:
    base = {"stage": "tested", "low": None, "high": None, "watch": 0.1, "breach": 0.25, "rows": 300, "status": "ok"}
    return {"period": period, "measure": measure, "subject": subject, "value": value, **base, **more}


def _compared(group: str, value: float | None, rows: int | None, verdict: str) -> dict[str, Any]:
    figures = {"value": value, "rest_value": 0.25, "p_adjusted": 0.01}
    return {"attribute": "kind", "group_name": group, "figure": "recall", "sample_rows": rows, "verdict": verdict,
            **figures}  # fmt: skip


@pytest.fixture(scope="module")
def watched(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Figures as their makers would publish them, by hand."""
    ports = "".join(f"  - {{name: {key[5:]}, version: 1.0.0, contractId: {key.replace('/', '-')}}}\n"
                    for key in (WATCHED, COMPARED))  # fmt: skip
    more = {
        f"contracts/{WATCHED}.yaml": contract_text(WATCHED, WATCH),
        f"contracts/{COMPARED}.yaml": contract_text(COMPARED, FAIR),
        "data_products/desk/domain.yaml": ports,
        "data_products/desk/models/other.yaml": MODEL.replace("model: risk", "model: other"),
    }
    made = desk(tmp_path_factory.mktemp("watched"), postgres_host, model=MODEL + GROUPS + OUTPUTS, more=more)
    made.publish(WATCHED, pa.Table.from_pylist([
        _watched("2020-04", "psi", "score", 0.02, stage="learned", status="baseline"),
        _watched("2020-05", "psi", "score", 0.2, status="watch"),
        _watched("2020-06", "psi", "score", 0.4321, stage="new", status="breach"),
        _watched("2020-06", "precision", "flagged", 0.777, rows=49),
        _watched("2020-05", "calibration_gap", "probability", -0.06, low=-0.089, high=-0.027),
        _watched("2020-06", "psi", "<amount>", 0.3, stage="new", status="breach"),
    ]))  # fmt: skip
    made.publish(COMPARED, pa.Table.from_pylist([
        _compared("a", 0.5, 100, "higher"), _compared("b", 0.25, 900, "not told apart"),
        _compared("tiny", 0.123, 49, "lower"), _compared("none", None, None, "too few rows"),
    ]))  # fmt: skip
    return made


@pytest.fixture(scope="module")
def address(watched: Desk) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(watched.mesh), port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def _page(address: str, path: str = "/models/desk/risk") -> str:
    with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def test_every_figure_that_is_drawn_stands_in_a_table_and_gravest_come_first(address: str) -> None:
    text = _page(address)
    rows = Outline(text).rows
    psi = ["0.432", "–", "0.100", "0.250", "300", "breach"]
    grave = rows.index(["Figure", "Period", "Stage", "Value", "95 % interval", "Watch", "Breach", "Rows", "Status"])
    assert [row[:3] for row in rows[grave + 1 : grave + 4]] == [
        ["psi of score", "2020-06", "new"], ["psi of <amount>", "2020-06", "new"],
        ["psi of score", "2020-05", "tested"],
    ]  # fmt: skip
    assert ["2020-06", "new", "psi of score", *psi] in rows
    assert "-0.089 to -0.027" in text
    assert "Newest: 2020-06, new: 0.432, 300 rows, breach." in text
    assert "psi of &lt;amount&gt;" in text


def test_figures_of_fewer_than_fifty_rows_are_nowhere_on_the_page(address: str) -> None:
    text = _page(address)
    assert "0.777" not in text
    assert "Precision</figcaption>" not in text
    assert "1 figures of fewer than 50 rows are not shown." in text
    assert "0.123" not in text
    dash = "\N{EN DASH}"
    assert ["tiny", "recall", dash, dash, dash, dash, "too few rows"] in Outline(text).rows
    assert ["a", "recall", "0.500", dash, "0.250", "100", "higher"] in Outline(text).rows


def test_pictures_are_read_out_and_bring_nothing_from_elsewhere(address: str) -> None:
    tags = Outline(_page(address)).tags
    charts = [given for tag, given in tags if tag == "svg" and given.get("class") == "chart"]
    assert len(charts) == 3, "drift, calibration, recall by kind"
    ids = [str(given["id"]) for _, given in tags if "id" in given]
    assert len(ids) == len(set(ids))
    assert all(set(str(given["aria-labelledby"]).split()) <= set(ids) for given in charts)
    assert not {tag for tag, _ in tags} & {"script", "style", "foreignobject", "image", "use"}
    assert not [name for _, given in tags for name in given if name.startswith("on") or name == "style"]
    assert [given for tag, given in tags if given.get("class") == "ring" and "cx" in given]


def test_models_are_listed_and_one_that_nobody_watches_says_so(address: str) -> None:
    rows = Outline(_page(address, "/models")).rows
    assert [row[0] for row in rows[1:]] == ["desk/other", "desk/risk"]
    text = _page(address, "/models/desk/other")
    assert "names no product under <code>outputs.monitoring</code>" in text
    with pytest.raises(urllib.error.HTTPError) as refused:
        _page(address, "/models/desk/nobody")
    assert refused.value.code == 404
    assert "Models of this mesh: desk/other, desk/risk." in refused.value.read().decode()


def test_a_column_that_is_more_than_internal_is_not_shown(watched: Desk, address: str) -> None:
    path = watched.spine.project / f"contracts/{WATCHED}.yaml"
    text = path.read_text()
    value = "name: value, logicalType: number, physicalType: DOUBLE, classification: "
    assert f"{value}internal" in text
    path.write_text(text.replace(f"{value}internal", f"{value}confidential"))
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            _page(address)
    finally:
        path.write_text(text)
    said = refused.value.read().decode()
    assert "value is not classified as public or internal" in said
    assert "0.432" not in said


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.02, 0.43, (0.0, 0.2, 0.4, 0.6)),
        (0.15, 0.43, (0.0, 0.2, 0.4, 0.6)),
        (0.75, 0.98, (0.7, 0.8, 0.9, 1.0)),
        (-0.1, 0.08, (-0.1, -0.05, 0.0, 0.05, 0.1)),
        (5.0, 5.0, (4.0, 6.0, 8.0, 10.0)),
        (0.0, 0.0, (0.0, 0.25, 0.5, 0.75, 1.0)),
    ],
)
def test_ticks_are_round_and_hold_every_value(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert nice_ticks(low, high) == ticks


def test_a_chart_places_values_between_its_ticks_by_hand() -> None:
    points = [Point("b", 0.5, "new", 0.25, 1.0), Point("a", 0.0, "new")]
    chart = line_chart("t", "d", points, order=["a", "b"], bounds={"watch": {"a": 1.0, "b": 1.0}})
    assert [(label.text, label.place) for label in chart.up] == [
        ("0", 196), ("0.25", 150), ("0.5", 104), ("0.75", 58), ("1", 12),
    ]  # fmt: skip
    assert chart.lines[0].points == "147.5,196 334.5,104", "in the order of the axis, not of the points"
    assert chart.bounds[0].points == "147.5,12 334.5,12"
    assert [(mark.x, mark.y, mark.low, mark.high) for mark in chart.marks] == [
        (334.5, 104, 150, 12), (147.5, 196, None, None),
    ]  # fmt: skip
    lying = interval_chart("t", "d", [Point("x", 50.0, "group", 0.0, 100.0), Point("y", 100.0, "rest")])
    assert [(mark.x, mark.y, mark.low, mark.high) for mark in lying.marks] == [
        (268, 25, 120, 416),
        (416, 51, None, None),
    ]


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 24, 29)")])
def test_a_browser_draws_the_page_on_a_phone_without_a_script(
    address: str, browser: Any, scheme: str, paper: str
) -> None:
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 390, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/models")
    page.get_by_role("link", name="desk/risk").press("Enter")
    chart = page.get_by_role("img", name="How far scores moved")
    chart.wait_for()
    assert 300 < chart.bounding_box()["width"] <= 390
    assert page.locator("html").evaluate("page => page.scrollWidth") == 390, "tables scroll, the page does not"
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == paper
    mark = chart.locator(".mark.new")
    assert mark.evaluate("mark => getComputedStyle(mark).fill") not in ("rgb(0, 0, 0)", paper)
    assert said == [], "nothing of the page breaks its own Content-Security-Policy"
    assert all(url.startswith(address) for url in asked)
