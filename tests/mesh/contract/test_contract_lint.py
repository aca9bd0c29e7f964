"""`mesh contract lint` as people and pipelines call it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mesh.cli import build_app
from mesh.settings import get_settings
from tests.mesh.contract.test_contract_policies import MEETS_ALL, OWN, waived


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with one contract and one policy of its own, as the working directory."""
    files = {"shop/orders.yaml": MEETS_ALL, "policies/own.py": OWN}
    for name, text in files.items():
        file = tmp_path / "contracts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("MESH_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def lint(*words: str) -> Result:
    return CliRunner().invoke(build_app(), ["contract", "lint", *words])


def said(result: Result) -> list[str]:
    """The lines of the output without the notes on what no audit holds."""
    return [line for line in result.output.splitlines() if not line.endswith("[note: not executed]")]


def put(root: Path, name: str, text: str) -> str:
    (root / name).write_text(text)
    return name


def test_without_a_file_all_contracts_of_the_mesh_are_checked() -> None:
    result = lint()
    assert (result.exit_code, result.output) == (0, "1 contract: 0 errors, 0 warnings.\n")


def test_any_file_is_checked_wherever_it_is_and_errors_fail(root: Path) -> None:
    one = put(root, "one.yaml", MEETS_ALL.replace("domain: shop", "domain: bank"))
    two = put(root, "two.yaml", MEETS_ALL.replace("status: active", "staus: active"))
    result = lint(one, two, "contracts/shop/orders.yaml")
    keys = (
        "apiVersion, authoritativeDefinitions, contractCreatedTs, customProperties, dataProduct, description, domain, "
        "id, kind, name, price, roles, schema, servers, slaDefaultElement, slaProperties, status, support, tags, team, "
        "tenant, version"
    )
    assert result.exit_code == 1
    assert said(result) == [
        "one.yaml:6: domain: Only the domain shop publishes here. Allowed: domain: shop [error: shops_only]",
        "two.yaml:1: status: This is missing. [error: standard]",
        f"two.yaml:5: staus: `staus` is not a key of the standard (did you mean `status`?). Allowed: {keys} "
        "[error: standard]",
        "3 contracts: 3 errors, 0 warnings.",
    ]


def test_warnings_and_waivers_are_told_and_do_not_fail(root: Path) -> None:
    draft = MEETS_ALL.replace("domain: shop", "domain: bank").replace("status: active", "status: draft")
    allowed = waived(MEETS_ALL.replace("domain: shop", "domain: bank"), "contract", policy="shops_only")
    result = lint(put(root, "draft.yaml", draft), put(root, "waived.yaml", allowed))
    assert result.exit_code == 0
    assert said(result) == [
        "draft.yaml:6: domain: Only the domain shop publishes here. Allowed: domain: shop [warning: shops_only]",
        "waived.yaml:6: domain: Only the domain shop publishes here. Waived: Delivered so. [waived: shops_only]",
        "2 contracts: 0 errors, 1 warning, 1 waived.",
    ]


def test_schema_only_leaves_policies_and_limits_of_the_mesh_out(root: Path) -> None:
    foreign = MEETS_ALL.replace("domain: shop", "domain: Big Bank").replace("name: order_id", "name: Order ID")
    name = put(root, "foreign.yaml", foreign)
    assert lint(name, "--schema-only").exit_code == 0
    result = lint(name)
    assert result.exit_code == 1
    assert "foreign.yaml:6: domain: `Big Bank` is no name in the mesh." in result.output
    assert "[error: mesh]" in result.output
    assert "[error: shops_only]" in result.output, "policies are told beside the first limit of the mesh"


def test_json_gives_every_part_of_a_finding(root: Path) -> None:
    result = lint(put(root, "one.yaml", MEETS_ALL.replace("domain: shop", "domain: bank")), "--format", "json")
    assert result.exit_code == 1
    assert [one for one in json.loads(result.output) if one["severity"] != "note"] == [
        {
            "file": "one.yaml",
            "line": 6,
            "field": "domain",
            "severity": "error",
            "source": "shops_only",
            "what": "Only the domain shop publishes here.",
            "allowed": "domain: shop",
        }
    ]


def test_github_gets_annotations_that_no_text_can_break(root: Path) -> None:
    text = MEETS_ALL.replace("domain: shop", "domain: bank")
    policy = OWN.replace("publishes here.", "publishes here: 100 %, always.").replace('"domain: shop"', '"a\\nb"')
    (root / "contracts" / "policies" / "own.py").write_text(policy)
    result = lint(put(root, "a,b.yaml", text), "--format", "github")
    assert result.exit_code == 1
    assert result.output == (
        "::error file=a%2Cb.yaml,line=6,title=shops_only::"
        "domain: Only the domain shop publishes here: 100 %25, always. Allowed: a%0Ab\n"
    )


def test_a_clean_run_annotates_nothing(root: Path) -> None:
    assert lint("--format", "github").output == ""
    assert lint("--format", "json").output == "[]\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: [1", "x.yaml:1: The YAML is damaged: "),
        (b"\xff", "x.yaml:1: The file is not UTF-8 text. Allowed: UTF-8 [error: standard]"),
        (b"- 1", "x.yaml: There is no contract in this file."),
        (b"a: &x 1\nb: *x", "x.yaml:2: b: YAML aliases are not taken"),
        (b"a: 1\na: 2", "x.yaml:2: a: The key stands here twice."),
    ],
)
def test_a_file_that_is_no_contract_is_one_finding(content: bytes, says: str, root: Path) -> None:
    (root / "x.yaml").write_bytes(content)
    result = lint("x.yaml", "--schema-only")
    assert result.exit_code == 1
    assert result.output.startswith(says)
    assert result.output.endswith("1 contract: 1 error, 0 warnings.\n")


def test_a_file_that_is_not_there_is_a_finding_and_the_others_are_still_checked(root: Path) -> None:
    result = lint("nothing.yaml", "contracts", "contracts/shop/orders.yaml")
    assert result.exit_code == 1
    assert said(result) == [
        "nothing.yaml: The file cannot be read: No such file or directory. [error: standard]",
        "contracts: The file cannot be read: Is a directory. [error: standard]",
        "3 contracts: 2 errors, 0 warnings.",
    ]


def test_what_would_steer_the_terminal_is_written_out(root: Path) -> None:
    result = lint(put(root, "x.yaml", MEETS_ALL.replace("status: active", 'status: active\n"\\e[2J": 1')))
    assert "\x1b" not in result.output
    assert "\\x1b[2J" in result.output


def test_a_contract_in_the_wrong_place_is_told_for_the_mesh(root: Path) -> None:
    put(root, "contracts/shop/carts.yaml", MEETS_ALL.replace("id: shop-orders", "id: other"))
    result = lint()
    assert result.exit_code == 1
    assert "This is the contract of shop/orders. Allowed: contracts/shop/orders.yaml [error: mesh]" in result.output


def test_what_a_named_file_says_and_no_audit_holds_is_noted_at_its_line(root: Path) -> None:
    """Whoever tries a file of their own sees what of it would not be held; the mesh's own contracts are known."""
    name = put(
        root, "one.yaml", MEETS_ALL.replace("    properties:\n", "    physicalName: tbl_orders\n    properties:\n", 1)
    )
    line = (root / name).read_text().partition("tbl_orders")[0].count("\n") + 1
    note = {
        "file": name,
        "line": line,
        "field": "schema[0].physicalName",
        "severity": "note",
        "source": "not executed",
        "what": "Not executed: it is published under its `name`.",
        "allowed": None,
    }
    assert note in json.loads(lint(name, "--format", "json").output)
    text = f"one.yaml:{line}: schema[0].physicalName: Not executed: it is published under its `name`. "
    result = lint(name)
    assert text + "[note: not executed]" in result.output.splitlines()
    assert result.exit_code == 0
    assert "note" not in lint().output
    assert "not executed" not in lint(name, "--schema-only").output


CUSTOM = """\
    quality:
      - type: custom
        engine: greatExpectations
        implementation: {type: expect_column_to_exsit, kwargs: {column: order_id}}
      - type: custom
        engine: great-expectations
        implementation: {type: expect_column_to_exist, kwargs: {column: order_id, column_index: 0}}
      - type: custom
        engine: greatExpectations
        implementation: '{"type": "expect_column_to_exist", "kwargs": {"column": "order_id", "place": 1}}'
"""


def test_great_expectations_is_asked_about_every_custom_rule(root: Path) -> None:
    text = MEETS_ALL.replace("    properties:\n", CUSTOM + "    properties:\n", 1)
    file = put(root, "one.yaml", text)
    first = text[: text.index("expect_column_to_exsit")].count("\n") + 1
    result = lint(file)
    assert result.exit_code == 1
    assert said(result) == [
        f"one.yaml:{first}: schema[0].quality[0].implementation: Great Expectations knows no `expect_column_to_exsit` "
        "(did you mean `expect_column_to_exist`?). Allowed: an expectation of its core [error: mesh]",
        f"one.yaml:{first + 6}: schema[0].quality[2].implementation: Great Expectations does not take the arguments of "
        "`expect_column_to_exist`: place: extra fields not permitted. Allowed: column, column_index [error: mesh]",
        "1 contract: 2 errors, 0 warnings.",
    ]


def test_great_expectations_is_not_imported_for_contracts_without_such_a_rule(root: Path) -> None:
    """Its import takes seconds."""
    script = (
        "import sys; from mesh.cli import build_app\n"
        "build_app()(['contract', 'lint', 'contracts/shop/orders.yaml'], standalone_mode=False)\n"
        "print('great_expectations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.splitlines()[-1] == "False"
