"""The threads of the event path, and connections that a restarted server has left dead."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import AsyncClient
from django.urls import reverse
from pytest_django import Settings

from denoise_relay.events import Fact
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.models import Job
from denoise_relay.runtime import database
from tests.db.checks import checked_events
from tests.db.factories import end, make_job
from tests.db.live.jobs import job_with
from tests.db.live.sockets import job_path, opened

pytestmark = pytest.mark.django_db(transaction=True)


async def kill_connections(
    threads: database.Threads, count: int, by: database.Threads = database.JOURNAL
) -> None:
    """End the connection of each of the threads, as a restart of the server does."""
    together = threading.Barrier(count, timeout=10)

    def own() -> int:
        together.wait()  # so that each thread gets one call
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def kill(pids: list[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) pid", [pids])

    pids = await asyncio.gather(*(threads.call(own) for _ in range(count)))
    await by.call(kill, pids)


async def test_a_read_that_meets_a_dead_connection_runs_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await database.JOURNAL.call(Job.objects.exists)
    calls: list[object] = []

    def query() -> bool:
        calls.append(connection.connection)
        if len(calls) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return Job.objects.exists()

    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: False)

    assert await database.JOURNAL.read(query) is False
    assert calls[0] is not None
    assert calls[1:] == [None], "the second try opens a connection"


@pytest.mark.parametrize("usable", [True, False])
async def test_an_error_of_a_connection_that_lives_or_never_was_is_raised_at_once(
    usable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def query() -> None:
        calls.append(1)
        raise OperationalError("database is locked")

    if usable:
        await database.JOURNAL.call(Job.objects.exists)
    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: usable)

    with pytest.raises(OperationalError):
        await database.JOURNAL.read(query)
    assert calls == [1]


async def test_a_call_that_may_write_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def write() -> None:
        calls.append(1)
        raise OperationalError("server closed the connection unexpectedly")

    await database.JOURNAL.call(Job.objects.exists)
    monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: False)

    with pytest.raises(OperationalError):
        await database.JOURNAL.call(write)
    assert calls == [1]


@pytest.mark.postgres
@pytest.mark.usefixtures("the_feed")
async def test_nobody_notices_that_postgres_was_restarted(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"WORKER": "external", "ACCESS_POLICY": "tests.db.live.jobs.anybody"}
    job = await job_with(1)
    await database.call(end, job)
    path = reverse("denoise_relay:events", args=[job.pk])
    await kill_connections(database.GENERAL, 4)

    streams = await asyncio.gather(*(_stream(path) for _ in range(20)))

    assert [(status, b'"stage":"done"' in body) for status, body in streams] == [(200, True)] * 20
    await kill_connections(database.GENERAL, 4)
    await kill_connections(database.POLICIES, 4)
    for _ in range(8):
        async with opened(job_path(job)) as client:
            assert (await client.frame())["stage"] == "done"
            assert await client.closed() == 1000


@pytest.mark.postgres
async def test_an_event_alone_is_written_once_after_a_restart() -> None:
    """It is no transaction of ours, in which a repetition would be noticed otherwise."""
    job = await database.call(make_job)
    entry = Entry(job=job.pk, epoch=0, fact=Fact(pct=50))
    await kill_connections(database.JOURNAL, 1, by=database.GENERAL)

    (outcome,) = await database.JOURNAL.call_with_retry(append_entries, [entry])

    assert (await database.call(checked_events, job.pk))[1:] == [outcome.event]


async def _stream(path: str) -> tuple[int, bytes]:
    response: Any = await AsyncClient().get(path)
    body = (
        b"".join([part async for part in response.streaming_content]) if response.streaming else b""
    )
    return response.status_code, body
