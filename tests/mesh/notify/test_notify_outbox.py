"""The outbox: each message once, by one of several dispatchers, again after a failure, and again after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from mesh.notify.outbox import ATTEMPTS, Entry, Failure, Message, listing, pause, record, retry, send_next
from mesh.postgres import Postgres
from mesh.session import Mesh

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = ("shop/orders", "ann@example.org")


def message(number: int, address: str = ANN[1]) -> Message:
    return Message(f"release:shop/orders@{number}", ANN[0], "email", address, {"subject": "s", "text": "t"})


@pytest.fixture
def postgres(make_mesh: Callable[..., Mesh]) -> Postgres:
    return make_mesh().postgres


def drain(postgres: Postgres, now: datetime, *answers: Failure | None) -> Iterator[Entry]:
    left = list(answers)
    while entry := send_next(postgres, [ANN], now, lambda _: left.pop(0) if left else None):
        yield entry


def test_a_message_is_recorded_once_and_sent_once(postgres: Postgres) -> None:
    assert record(postgres, [message(1), message(2), message(1, "bob@example.org")], NOON) == 3
    assert record(postgres, [message(2), message(3)], NOON) == 1
    assert [entry.message for entry in drain(postgres, NOON)] == [message(1), message(2), message(3)]
    assert list(drain(postgres, NOON)) == []
    assert record(postgres, [message(1)], NOON) == 0
    assert listing(postgres, 2) == (
        Entry(message(3), "sent", 1, NOON, NOON, None),
        Entry(message(1, "bob@example.org"), "pending", 0, NOON, NOON, None),  # not registered any more
    )


def test_pauses_double_for_most_of_a_day() -> None:
    pauses = [pause(attempts) for attempts in range(1, ATTEMPTS)]
    assert pauses[:4] == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 8)]
    assert timedelta(hours=12) < sum(pauses, timedelta()) < timedelta(hours=24)


def test_a_failure_is_tried_again_later_and_given_up_at_last(postgres: Postgres) -> None:
    record(postgres, [message(1)], NOON)
    now, broken = NOON, Failure("HTTP 503")
    for attempts in range(1, ATTEMPTS):
        assert list(drain(postgres, now, broken)) == [
            Entry(message(1), "pending", attempts, now + pause(attempts), now, "HTTP 503")
        ]
        assert list(drain(postgres, now + pause(attempts) - timedelta(seconds=1))) == []
        now += pause(attempts)
    last = Entry(message(1), "failed", ATTEMPTS, now, now, "HTTP 503")
    assert list(drain(postgres, now, broken)) == [last]
    assert list(drain(postgres, now + timedelta(days=9))) == []
    assert listing(postgres, 9) == (last,)

    assert retry(postgres, now) == 1
    assert list(drain(postgres, now)) == [Entry(message(1), "sent", 1, now, now, None)]
    assert retry(postgres, now) == 0


def test_a_final_failure_is_not_tried_again_by_itself(postgres: Postgres) -> None:
    record(postgres, [message(1)], NOON)
    [entry] = drain(postgres, NOON, Failure("no MESH_SMTP_URL", final=True))
    assert (entry.state, entry.attempts, entry.error) == ("failed", 1, "no MESH_SMTP_URL")
    assert list(drain(postgres, NOON + timedelta(days=9))) == []


def test_dispatchers_at_once_send_every_message_once(postgres: Postgres) -> None:
    """They work at the same time, too: the second one is not held up by the message that the first one sends."""
    record(postgres, [message(number) for number in range(20)], NOON)
    both, sent = threading.Barrier(2, timeout=30), []

    def send(one: Message) -> None:
        if len(sent) < 2:
            both.wait()  # passed only while the other one has a message of its own in hand
        sent.append(one)

    def work() -> int:
        done = 0
        while send_next(postgres, [ANN], NOON, send):
            done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        done = [future.result() for future in (pool.submit(work), pool.submit(work))]
    assert sum(done) == 20
    assert sorted(one.event for one in sent) == sorted(message(number).event for number in range(20))


def test_a_message_whose_sender_died_goes_out_again_under_the_same_key(postgres: Postgres) -> None:
    record(postgres, [message(1)], NOON)
    keys = []

    def dies(one: Message) -> None:
        keys.append(one.key)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_next(postgres, [ANN], NOON, dies)
    assert [entry.attempts for entry in drain(postgres, NOON)] == [1]
    assert keys == [message(1).key]
    assert len({message(1).key, message(2).key, message(1, "bob@example.org").key}) == 3


def test_readers_of_the_mesh_see_no_addresses(postgres: Postgres) -> None:
    connection = psycopg2.connect(postgres.dsn(reader=True))
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("select * from mesh.notification")
    connection.close()


def test_a_mesh_from_before_gets_its_outbox_at_the_next_start(make_mesh: Callable[..., Mesh]) -> None:
    mesh = make_mesh()
    with mesh.postgres.cursor() as cursor:
        cursor.execute("drop table mesh.notification")
        cursor.execute("drop index mesh.audit_failed")
    again = Mesh(mesh.settings).postgres
    assert listing(again, 1) == ()
