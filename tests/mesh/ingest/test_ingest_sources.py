"""Source files: what a good one says, and for every mistake the file, the line, the field and the way out."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from ingest_desk import SOURCE

from mesh.errors import ProjectError
from mesh.ingest import Column, RawTable, Source, load_raw_tables, load_source, load_sources

DOMAIN = """\
apiVersion: v1.0.0
kind: DataProduct
id: desk
name: Desk
version: 1.0.0
status: active
domain: desk
inputPorts:
  - name: raw_visits
    version: 1.0.0
    contractId: source:raw_visits
    customProperties:
      - property: columns
        value: [visit_id, office, visited_on, sex, address, nino_token, nino_status, note, row_key]
      - property: feeds
        value: visits
  - name: persons
    version: 1.0.0
    contractId: identity-persons
"""


def put(root: Path, text: str, name: str = "visits") -> Path:
    path = root / "data_products" / "desk" / "sources" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def domain(root: Path, text: str = DOMAIN) -> Path:
    path = root / "data_products" / "desk" / "domain.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_source_says_where_every_column_comes_from(tmp_path: Path) -> None:
    path = put(tmp_path, SOURCE + "encoding: latin-1\nrequired: false\n")
    assert load_source(path) == Source(
        name="visits",
        domain="desk",
        into="raw_visits",
        files="desk/visits/*.csv",
        format="csv",
        columns=(
            Column("visit_id", ("ref",)),
            Column("office", value="North"),
            Column("visited_on", ("day",), date_format="%d/%m/%Y"),
            Column("sex", ("sex",), lookup=(("M", "male"), ("F", "female"))),
            Column("address", ("street", "town"), join=", "),
            Column("nino", ("nino",), identifier="nino"),
            Column("note", ("note",), redact=True),
            Column("row_key", row_id=True),
        ),
        path=path,
        encoding="latin-1",
        required=False,
    )


def changed(old: str, new: str) -> str:
    assert old in SOURCE
    return SOURCE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": There is no source in this file. Allowed: source, into, files, format, encoding, delimiter, "
             "required, allow_empty, columns"),
        ("a: [", ":1: not YAML: expected the node content, but found '<stream end>'."),
        (SOURCE + "source: again\n", ':14: not YAML: found duplicate key "source" with value "again" '
                                     '(original value: "visits").'),
        (SOURCE + "colour: red\n", ":14: colour: is not known here. Allowed: source, into, files, format, encoding, "
                                   "delimiter, required, allow_empty, columns"),
        (changed("into: raw_visits\n", ""), ": into: is missing."),
        (changed("source: visits", "source: Visits"), ":1: source: is no name. Allowed: lower case letters, digits "
                                                      "and _, a letter first"),
        (changed("desk/visits/*.csv", "../other/*.csv"), ":3: files: must be a pattern below the landing directory. "
                                                         "Allowed: such as claims/cjrs/*.csv"),
        (changed("format: csv", "format: xml"), ":4: format: `xml` is not known. Allowed: csv, jsonl, parquet"),
        (changed("format: csv", "format: jsonl\ndelimiter: ;"), ":5: delimiter: means nothing for jsonl."),
        (SOURCE + "encoding: ascii\n", ":14: encoding: `ascii` is not known. Allowed: utf-8, latin-1, utf-16"),
        (SOURCE + "delimiter: '::'\n", ':14: delimiter: must be one character. Allowed: such as ",", ";", "|" '
                                       'or "\\t"'),
        (SOURCE + "required: 1\n", ":14: required: must be true or false. Allowed: true, false"),
        (changed("  visit_id: ref", "  Visit: ref"), ":6: columns.Visit: is no name of a column. Allowed: lower case "
                                                     "letters, digits and _"),
        (changed("visit_id: ref", "visit_id: 7"), ":6: columns.visit_id: must name a delivered column, or say how to "
                                                  "make the values."),
        (changed("{value: North}", "{value: 7}"), ":7: columns.office.value: must be text; put it in quotes."),
        (changed("{value: North}", "{value: N, from: a}"), ":7: columns.office: needs exactly one origin. Allowed: "
                                                           "from, value, row_id"),
        (changed("{value: North}", "{value: N, redact: true}"), ":7: columns.office.redact: does not go with value."),
        (changed("{value: North}", "{form: a}"), ":7: columns.office.form: is not known here. Allowed: from, value, "
                                                 "row_id, format, map, join, identifier, keep, redact, optional"),
        (changed('"%d/%m/%Y"', "DD/MM/YYYY"), ":8: columns.visited_on.format: is no date format. Allowed: %a %A %b %B "
                                              "%d %f %H %I %j %m %M %p %S %y %Y %z, such as %d/%m/%Y"),
        (changed("{M: male", "{1: male"), ":9: columns.sex.map.1: must map text to text; put both in quotes."),
        (changed(', join: ", "', ""), ":10: columns.address.from: names several columns; say what goes between them. "
                                      'Allowed: join: " "'),
        (changed("identifier: nino", "identifier: shoe"), ":11: columns.nino.identifier: `shoe` is not known. Allowed: "
                                                          "nino, utr, bank_account, phone, email, other"),
        (changed("identifier: nino", "identifier: nino, keep: all"), ":11: columns.nino.keep: `all` is not known. "
                                                                     "Allowed: ciphertext"),
        (changed("redact: true", "redact: true, identifier: nino"), ":12: columns.note.redact: does not go with "
                                                                    "identifier."),
        (changed("redact: true", "redact: true, keep: ciphertext"), ":12: columns.note.keep: is only for an "
                                                                    "identifier."),
        (changed("row_id: true", "row_id: false"), ":13: columns.row_key.row_id: must be true. Allowed: true"),
        (SOURCE + "  nino_token: ref\n", ":14: columns.nino_token: fills nino_token, which columns.nino fills "
                                         "already."),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = put(tmp_path, text)
    with pytest.raises(ProjectError) as error:
        load_source(path)
    assert str(error.value) == f"{path}{message}"


def test_every_source_of_a_domain_is_read(tmp_path: Path) -> None:
    domain(tmp_path)
    put(tmp_path, SOURCE)
    put(tmp_path, changed("source: visits", "source: archive"), "old")
    assert [source.name for source in load_sources(tmp_path, "desk")] == ["archive", "visits"]
    assert load_sources(tmp_path, "nobody") == ()


def test_raw_tables_are_the_input_ports_that_are_no_product(tmp_path: Path) -> None:
    columns = ("visit_id", "office", "visited_on", "sex", "address", "nino_token", "nino_status", "note", "row_key")
    assert load_raw_tables(domain(tmp_path)) == (RawTable("raw_visits", "visits", columns),)


@pytest.mark.parametrize(
    ("described", "text", "message"),
    [
        (DOMAIN, changed("into: raw_visits", "into: raw_shoes"),
         "{file}:2: into: `raw_shoes` is no raw table of domain desk. Allowed: raw_visits"),
        (DOMAIN, SOURCE + "  shoe: ref\n",
         "{file}:14: columns.shoe: fills shoe, not among the columns of raw_visits in domain.yaml. Allowed: visit_id, "
         "office, visited_on, sex, address, nino_token, nino_status, note, row_key"),
        (DOMAIN, changed("{from: nino, identifier: nino}", "nino"),
         "{file}:11: columns.nino: fills nino, not among the columns of raw_visits in domain.yaml. Allowed: visit_id, "
         "office, visited_on, sex, address, nino_token, nino_status, note, row_key"),
        (DOMAIN, changed("identifier: nino", "identifier: nino, keep: ciphertext"),
         "{file}:11: columns.nino: keeps a ciphertext, which domain desk may not. Allowed: only with "
         "`reversibleIdentifiers: true` in domain.yaml"),
        (DOMAIN.replace("value: [visit_id", "value: [visit_id, visit_id"), SOURCE,
         "{domain}: inputPorts.raw_visits: lists a column twice. Allowed: lower case letters, digits and _"),
        (DOMAIN.replace("property: columns", "property: fields"), SOURCE,
         "{domain}: inputPorts.raw_visits: does not list its columns. Allowed: property: columns"),
    ],
)  # fmt: skip
def test_a_source_that_its_domain_does_not_back_is_refused(
    tmp_path: Path, described: str, text: str, message: str
) -> None:
    domain_file, file = domain(tmp_path, described), put(tmp_path, text)
    with pytest.raises(ProjectError) as error:
        load_sources(tmp_path, "desk")
    assert str(error.value) == message.format(file=file, domain=domain_file)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    domain(tmp_path)
    put(tmp_path, SOURCE)
    second = put(tmp_path, SOURCE, "visits_2")
    with pytest.raises(ProjectError) as error:
        load_sources(tmp_path, "desk")
    assert str(error.value) == f"{second}:1: source: `visits` is the name of visits.yaml too."


def test_a_domain_that_may_reverse_identifiers_keeps_ciphertexts(tmp_path: Path) -> None:
    may = textwrap.dedent("""\
        customProperties:
          - property: reversibleIdentifiers
            value: true
        """)
    domain(tmp_path, DOMAIN.replace("nino_status,", "nino_status, nino_cipher,") + may)
    put(tmp_path, changed("identifier: nino", "identifier: nino, keep: ciphertext"))
    (source,) = load_sources(tmp_path, "desk")
    assert source.columns[5].raw_columns == ("nino_token", "nino_status", "nino_cipher")
