"""PostgreSQL carries the news: with the commit, never without it, and again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from django.db import connection, transaction
from pytest_django import Settings

from denoise_relay.doctor import channel_layer
from denoise_relay.doctor.run import Level
from denoise_relay.events import Fact
from denoise_relay.frames import parse_frame
from denoise_relay.jobs import actions
from denoise_relay.models import Job
from denoise_relay.pubsub import checks, postgres, publisher
from denoise_relay.pubsub.postgres import PostgresSubscription
from denoise_relay.pubsub.subscriber import subscription
from denoise_relay.runtime import database
from tests.db.factories import append, fail, make_job, stored_job
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]
on_postgres = pytest.mark.postgres


@pytest.fixture(autouse=True)
def _carried_by_postgres(settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "PUBSUB": "postgresql"}


class Receiver:
    """Keeps what came."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self.gaps = 0

    def on_message(self, message: dict[str, Any]) -> None:
        self.payloads.append(message["frame"])

    def on_gap(self) -> None:
        self.gaps += 1

    @property
    def seqs(self) -> list[int]:
        return [parse_frame(payload).seq for payload in self.payloads]


@pytest_asyncio.fixture
async def events() -> AsyncIterator[Receiver]:
    async for receiver in _receiver(postgres.EVENTS):
        yield receiver


@pytest_asyncio.fixture
async def work() -> AsyncIterator[Receiver]:
    async for receiver in _receiver(postgres.WORK):
        yield receiver


async def _receiver(channel: str) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    listening = subscription("test", channel, receiver.on_message, receiver.on_gap)
    assert isinstance(listening, PostgresSubscription)
    listening.start()
    await eventually(lambda: receiver.gaps == 1)
    yield receiver
    await listening.stop()


@on_postgres
async def test_an_event_comes_with_its_commit_and_not_before(events: Receiver) -> None:
    job = await database.call(make_job)
    await eventually(lambda: events.seqs == [1])

    def append_and_look() -> None:
        with transaction.atomic():
            append(job, Fact(pct=10, message="¡Sí! “Ready”"))
            seen.append(events.seqs)

    seen: list[list[int]] = []
    await database.call(append_and_look)
    await eventually(lambda: events.seqs == [1, 2])
    assert seen == [[1]]
    assert parse_frame(events.payloads[1]).event.message == "¡Sí! “Ready”"


@on_postgres
async def test_a_rollback_announces_nothing(events: Receiver, work: Receiver) -> None:
    job = await database.call(stored_job)
    await eventually(lambda: events.seqs == [1])

    def take_back() -> None:
        with transaction.atomic():
            append(job, Fact(pct=10))
            actions.cancel(job)
            transaction.set_rollback(True)

    await database.call(take_back)
    await database.call(append, job, Fact(pct=20))
    await eventually(lambda: len(events.seqs) == 2)
    assert parse_frame(events.payloads[1]).event.pct == 20
    assert work.payloads == []


@on_postgres
async def test_new_and_canceled_jobs_wake_supervisors(work: Receiver) -> None:
    job = await database.call(lambda: fail(stored_job(), "No."))
    again = await database.call(actions.retry, job)
    await eventually(lambda: len(work.payloads) == 1)
    await actions.acancel(again)
    await eventually(lambda: len(work.payloads) == 2)
    await publisher.wake()
    await eventually(lambda: len(work.payloads) == 3)


@on_postgres
async def test_a_lost_connection_is_opened_again(events: Receiver) -> None:
    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'"
            )

    await database.call(cut)
    await eventually(lambda: events.gaps == 2)
    await database.call(make_job)
    await eventually(lambda: events.seqs == [1])


@on_postgres
async def test_what_is_too_long_is_left_to_the_position_check(events: Receiver) -> None:
    job = await database.call(make_job)
    await database.call(append, job, Fact(pct=10))
    await eventually(lambda: events.seqs == [1, 2])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postgres, "PAYLOAD_BYTES", 10)
        await database.call(append, job, Fact(pct=20))
    await database.call(append, job, Fact(pct=30))
    await eventually(lambda: events.seqs == [1, 2, 4])


@on_postgres
async def test_the_doctor_sends_a_notification() -> None:
    (finding,) = await channel_layer.layer()
    assert (finding.level, "carries a notification" in finding.text) == (Level.OK, True)


def test_another_database_is_an_error() -> None:
    ids = [message.id for message in checks.check_pubsub(None)]
    if connection.vendor == "postgresql":
        assert ids == []
        assert publisher.reaches_others()
    else:
        assert ids == ["denoise_relay.E013"]
        assert not publisher.reaches_others()
        assert Job.objects.count() == 0
        make_job()  # nothing is announced, and nothing breaks


async def test_stopping_may_be_repeated() -> None:
    receiver = PostgresSubscription("test", "x", lambda _: None, lambda: None)
    await receiver.stop()
    receiver.start()
    await receiver.stop()
    await receiver.stop()
    await asyncio.sleep(0)
