"""The guard of a service over real connections: who is let in, how much is taken, what is on record."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.access.callers import Callers
from mesh.access.jwts import Refused
from mesh.access.register import Issued, issue, mirror_file, revoke
from mesh.access.shipping import read_service_accesses
from mesh.access.trail import Entry
from mesh.session import Mesh
from mesh.settings import Settings
from services.guard import Limits
from tests.conftest import create_database
from tests.services.forgery import AUDIENCE, ISSUER, Issuer, attacks
from tests.services.guarded import Answer, Service, head, serving, until

SMALL = Limits(rate=100_000, concurrent=4, body_bytes=1_000, body_seconds=0.5, seconds=0.5)


@dataclass(frozen=True)
class Desk:
    """A mesh with tokens of every role, an issuer of signed ones, and a service."""

    mesh: Mesh
    issuer: Issuer
    service: Service
    tokens: dict[str, Issued]

    def secret(self, role: str) -> str:
        return self.tokens[role].secret

    def recorded(self, correlation: str) -> Entry:
        """The entry of a request, once it has been shipped."""
        found: list[Entry] = []

        def shipped() -> bool:
            every = read_service_accesses(self.mesh.postgres, 10_000)
            found[:] = [entry for entry in every if entry.correlation == correlation]
            return bool(found)

        until(shipped)
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def desk(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder, issuer = tmp_path_factory.mktemp("desk"), Issuer()
    issuer.publish(folder / "jwks.json")
    mesh = Mesh(
        Settings(
            home=folder / "home",
            postgres_url=f"postgresql://postgres@/{create_database(postgres_host)}?host={postgres_host}",
            jwt_keys=folder / "jwks.json", jwt_issuer=ISSUER, jwt_audience=AUDIENCE,
        )
    )  # fmt: skip
    tokens = {role: _issue(mesh, role) for role in ("submitter", "reviewer", "operator")}
    with serving(mesh.settings, SMALL) as service:
        yield Desk(mesh, issuer, service, tokens)


def _issue(mesh: Mesh, role: str = "submitter", valid: timedelta = timedelta(days=1)) -> Issued:
    return issue(mesh.postgres, mesh.settings, role=role, purpose="tests", valid=valid, bearer="the tests")


def _revoked(desk: Desk) -> Issued:
    """A token that the service has served, and no longer does."""
    token = _issue(desk.mesh)
    until(lambda: desk.service.ask("/cases", token.secret).status == 200)
    revoke(desk.mesh.postgres, desk.mesh.settings, token.id, why="lost")
    until(lambda: desk.service.ask("/cases", token.secret).status == 401)
    return token


def _problem(answer: Answer) -> tuple[int, str]:
    """Status and kind of a refusal, whose form is held on the way."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json.keys() == {"type", "title", "status", "detail", "correlationId"}
    assert answer.json["status"] == answer.status
    assert answer.headers["cache-control"] == "no-store"
    return answer.status, answer.json["type"].removeprefix("urn:insight-mesh:problem:")


def test_a_genuine_bearer_is_served_and_known_to_the_application(desk: Desk) -> None:
    genuine = [desk.secret("submitter"), desk.issuer.by_hand(), *(desk.issuer.sign(kid) for kid in desk.issuer.keys)]
    for token in genuine + genuine:  # the second time from memory
        answer = desk.service.ask("/cases", token, b"a case")
        assert (answer.status, answer.json) == (200, {"length": 6, "role": "submitter", "purpose": "tests"})
    assert answer.headers["cache-control"] == "no-store"


def test_no_forged_token_is_accepted(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    revoked, expired = _revoked(desk), _issue(desk.mesh, valid=timedelta(milliseconds=1))
    valid = desk.secret("submitter")
    tried = list(attacks(desk.issuer, valid=valid, revoked=revoked.secret, expired=expired.secret))
    answers = {
        attack.name: desk.service.ask(f"/cases{attack.query}", body=b"{}", headers=attack.headers) for attack in tried
    }
    assert len(answers) == len(tried) > 200
    assert {name: answer.status for name, answer in answers.items() if answer.status not in (400, 401, 431)} == {}
    # Nothing tells a nearly right token from a wrong one, and nothing of it comes back.
    told = {
        (answer.json["detail"], answer.headers["www-authenticate"])
        for answer in answers.values()
        if answer.status == 401
    }
    assert told == {("A bearer token is needed, and there is none here that is accepted.", "bearer")}
    assert desk.service.ask("/cases", valid).status == 200
    printed = "".join(capfd.readouterr()).encode() + _trail_bytes(desk.service.guard.trail.folder)
    for secret in (valid, revoked.secret, expired.secret, "eyJ"):  # eyJ: how every signed token begins
        assert secret[-20:].encode() not in printed
        assert all(secret.encode() not in answer.body for answer in answers.values())


def test_every_refusal_is_on_record_without_a_value(desk: Desk) -> None:
    revoked = _revoked(desk)
    time.sleep(0.3)  # a moment of its own: equal refusals of one moment are one entry
    answer = desk.service.ask("/cases", revoked.secret)
    entry = desk.recorded(answer.json["correlationId"])
    assert (entry.outcome, entry.status, entry.route) == ("refused: token: revoked", 401, "POST /cases")
    assert (entry.token, entry.role, entry.subjects, entry.times) == (revoked.id, None, (), 1)


def test_a_role_opens_its_routes_and_no_other(desk: Desk) -> None:
    submitter, reviewer = desk.secret("submitter"), desk.secret("reviewer")
    assert desk.service.ask("/cases/1", reviewer, method="GET").status == 200
    refused = desk.service.ask("/cases/1", submitter, method="GET")
    assert _problem(refused) == (403, "not-permitted")
    assert _problem(desk.service.ask("/cases", reviewer)) == (403, "not-permitted")
    entry = desk.recorded(refused.json["correlationId"])
    assert (entry.outcome, entry.token, entry.role) == (
        "refused: not-permitted", desk.tokens["submitter"].id, "submitter",
    )  # fmt: skip
    assert desk.service.ask("/health", method="GET").status == 200
    assert _problem(desk.service.ask("/elsewhere", reviewer)) == (404, "no-such-path")
    wrong = desk.service.ask("/cases", reviewer, method="GET")
    assert (_problem(wrong), wrong.headers["allow"]) == ((405, "method"), "post")


def test_every_look_is_on_record_by_a_keyed_hash_before_the_answer_leaves(desk: Desk) -> None:
    reviewer, trail = desk.tokens["reviewer"], desk.service.guard.trail
    for path, method, body, value, outcome in (
        ("/look", "POST", b"QQ123456C", "QQ123456C", "given"),
        ("/cases/4711-a", "GET", b"", "4711-a", "given"),
        ("/cases/missing", "GET", b"", "missing", "not given"),
    ):
        before = _trail_bytes(trail.folder)
        desk.service.ask(path, reviewer.secret, body, method=method)
        (line,) = (line for line in _trail_bytes(trail.folder)[len(before) :].splitlines() if b"given" in line)
        written = json.loads(line)
        assert (written["outcome"], written["token"], written["purpose"]) == (outcome, reviewer.id, "tests")
        assert written["subjects"] == [trail.subject(value)]
        assert value.encode() not in line
        entry = desk.recorded(written["correlation"])
        assert (entry.subjects, entry.role, entry.bearer) == ((trail.subject(value),), "reviewer", "the tests")


def _trail_bytes(folder: Path) -> bytes:
    return b"".join(segment.read_bytes() for segment in sorted(folder.glob("*.jsonl")))


def test_an_answer_whose_look_is_not_told_is_held_back(desk: Desk) -> None:
    answer = desk.service.ask("/forgetful", desk.secret("reviewer"), b"QQ123456C")
    assert _problem(answer) == (500, "not-on-record")


def test_where_the_disk_refuses_looks_are_refused_and_decisions_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdatasync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mesh.access.trail.os.fdatasync", full)
    refused = desk.service.ask("/look", desk.secret("reviewer"), b"QQ123456C")
    assert _problem(refused) == (503, "not-on-record")
    assert refused.headers["retry-after"] == "5"
    assert desk.service.ask("/cases", desk.secret("submitter"), b"a case").status == 200
    monkeypatch.setattr("mesh.access.trail.os.fdatasync", real)
    until(lambda: desk.service.ask("/look", desk.secret("reviewer"), b"QQ123456C").status == 200)


def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(desk: Desk) -> None:
    token = desk.secret("submitter")
    assert desk.service.ask("/cases", token, b"x" * 1_000).status == 200
    assert _problem(desk.service.ask("/cases", token, b"x" * 1_001)) == (413, "body-too-large")
    # told only, and never sent
    assert _problem(desk.service.send(head("/cases", token, 10**12))) == (413, "body-too-large")
    piece = b"190\r\n" + b"x" * 400 + b"\r\n"
    assert desk.service.send(head("/cases", token), piece, piece, b"0\r\n\r\n").json["length"] == 800
    assert _problem(desk.service.send(head("/cases", token), piece, piece, piece)) == (413, "body-too-large")
    assert desk.service.ask("/cases/batch", token, b"x" * 5_000).status == 200, "a route may take more"


def test_a_slow_body_and_a_slow_answer_are_ended(desk: Desk) -> None:
    token = desk.secret("submitter")
    assert _problem(desk.service.send(head("/cases", token, 10), b"12345")) == (408, "body-too-slow")
    # A byte now and then is no way to hold a place for ever.
    drops = [b"1\r\nx\r\n"] * 8
    assert _problem(desk.service.send(head("/cases", token), *drops, pause=0.2)) == (408, "body-too-slow")
    assert _problem(desk.service.ask("/slow", token, b"30")) == (504, "too-slow")
    assert desk.service.ask("/slow", token, b"0.1").status == 200
    until(lambda: desk.service.guard.at_work == 0)


def test_headers_are_bounded_and_name_this_host(desk: Desk) -> None:
    def ask(*headers: tuple[bytes, bytes], host: bytes = b"127.0.0.1") -> Answer:
        return desk.service.ask("/health", method="GET", headers=headers, host=host)

    assert ask(host=b"localhost:8000").status == ask(host=b"[::1]:8000").status == 200
    for host in (b"evil.example", b"127.0.0.1.evil.example", b"127.0.0.1@evil.example", b"", b"127.0.0.1:x"):
        assert _problem(ask(host=host)) == (400, "host")
    assert _problem(ask((b"Host", b"localhost"))) == (400, "headers")
    assert _problem(ask(*[(b"X-One", b"1")] * 65)) == (431, "headers")
    assert _problem(ask((b"X-Long", b"x" * 20_000))) == (431, "headers")


def test_beyond_what_may_be_at_work_requests_are_shed_and_the_service_still_lives(desk: Desk) -> None:
    token, answers = desk.secret("submitter"), list[Answer]()
    crowd = [
        threading.Thread(target=lambda: answers.append(desk.service.ask("/slow", token, b"0.4")))
        for _ in range(SMALL.concurrent)
    ]
    for one in crowd:
        one.start()
    until(lambda: desk.service.guard.at_work == SMALL.concurrent)
    shed = desk.service.ask("/cases", token)
    alive = desk.service.ask("/health", method="GET")
    for one in crowd:
        one.join()
    assert (_problem(shed), shed.headers["retry-after"]) == ((503, "overloaded"), "1")
    assert alive.status == 200
    assert [answer.status for answer in answers] == [200] * SMALL.concurrent
    assert desk.service.ask("/cases", token).status == 200


def test_a_bearer_has_a_rate_of_its_own(desk: Desk, tmp_path: Path) -> None:
    # The register's mirror alone: another service's home may be a copy of it.
    settings = desk.mesh.settings.model_copy(update={"home": tmp_path})
    mirror_file(settings).parent.mkdir(parents=True)
    mirror_file(settings).write_bytes(mirror_file(desk.mesh.settings).read_bytes())
    mirror_file(settings).chmod(0o600)
    with serving(settings, replace(SMALL, rate=0.01)) as service:
        token = desk.secret("submitter")
        assert service.ask("/cases", token).status == 200
        refused = service.ask("/cases", token)
        assert _problem(refused) == (429, "too-many-requests")
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert service.ask("/cases", desk.issuer.sign()).status == 200
        again = service.ask("/cases", desk.issuer.sign(jti="another token of the same client"))
        assert _problem(again) == (429, "too-many-requests")
        assert service.guard.counts == {"too-many-requests": 2}


def test_an_application_may_refuse_in_the_same_form(desk: Desk) -> None:
    assert _problem(desk.service.ask("/conflict", desk.secret("submitter"))) == (409, "conflict")


def test_without_postgres_the_service_knows_its_callers_and_ships_what_it_kept(
    make_mesh: Callable[..., Mesh], tmp_path: Path
) -> None:
    mesh = make_mesh()
    reviewer, other = _issue(mesh, "reviewer"), _issue(mesh)
    url = mesh.settings.postgres_url
    gone = mesh.settings.model_copy(update={"postgres_url": type(url)("postgresql://postgres@127.0.0.1:1/none")})
    with serving(gone, SMALL) as service:
        assert service.ask("/look", reviewer.secret, b"QQ123456C").status == 200
        assert service.ask("/cases", other.secret).status == 200
        # Somebody whose Postgres answers revokes; the file tells.
        revoke(mesh.postgres, mesh.settings, other.id, why="lost")
        until(lambda: service.ask("/cases", other.secret).status == 401)
    assert read_service_accesses(mesh.postgres, 10) == ()
    with serving(mesh.settings, SMALL):
        until(lambda: read_service_accesses(mesh.postgres, 10))
    with serving(mesh.settings, SMALL):
        pass  # ships again what is left
    found = read_service_accesses(mesh.postgres, 100)
    assert [entry.route for entry in found if entry.outcome == "given"] == ["POST /look"]
    assert {entry.outcome for entry in found} == {"given", "refused: token: revoked"}
    assert list((mesh.settings.home / "access/trail/service").glob("*.jsonl")) == []


def test_a_mirror_that_others_can_write_lets_nobody_in(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    file = mirror_file(desk.mesh.settings)
    callers = Callers(desk.mesh.settings)
    header = b"Bearer " + desk.secret("submitter").encode()
    assert callers.identify(header).role == "submitter"
    body = file.read_bytes()
    file.unlink()
    file.write_bytes(body)
    file.chmod(0o666)
    assert callers.refresh()
    with pytest.raises(Refused):
        callers.identify(header)
    assert "can be read or written by others" in caplog.text
    # The service's own upkeep writes it anew.
    until(lambda: file.stat().st_mode & 0o777 == 0o600)
    callers.refresh()
    assert callers.identify(header).role == "submitter"
