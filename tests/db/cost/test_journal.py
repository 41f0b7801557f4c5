"""What a commit of the journal costs, in counts: statements, objects, hops of threads, tasks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models.signals import pre_init
from django.test.utils import CaptureQueriesContext

from denoise_relay.events import Fact
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.runtime.background import spawn
from denoise_relay.runtime.call_threads import CallThreads
from tests.db.factories import DONE

pytestmark = pytest.mark.django_db(transaction=True)
#: What the journal writer commits at a time.
GROUP = 500
LOCKED, WRITTEN = ["BEGIN", "SELECT"], ["UPDATE", "INSERT", "COMMIT"]
WHOLE = [*LOCKED, *WRITTEN]
#: Update and insert are one statement for many events there.
MANY = ["WITH", "COMMIT"] if connection.vendor == "postgresql" else WRITTEN


async def entries_of(count: int, fact: Fact | None = None, **changes: Any) -> list[Entry]:
    """One entry for each of so many new jobs."""

    def make() -> list[Job]:
        return Job.objects.bulk_create(Job(file_name="voice.wav", epoch=1) for _ in range(count))

    jobs = await database.JOURNAL.call(make)
    fact = fact or Fact(pct=1, message="Running")
    return [Entry(job=job.pk, epoch=1, fact=fact, changes=changes) for job in jobs]


async def statements(entries: Sequence[Entry]) -> list[str]:
    """The verbs of the statements that append these, in the journal's own thread."""

    def append() -> list[str]:
        with CaptureQueriesContext(connections["default"]) as captured:
            assert all(outcome.written for outcome in append_entries(entries))
        verbs = (re.search("[A-Z]{4,}", each["sql"]) for each in captured)
        return [verb[0] for verb in verbs if verb]

    return await database.JOURNAL.call(append)


async def test_statements_of_a_group_of_one() -> None:
    expected = ["WITH"] if connection.vendor == "postgresql" else WHOLE
    assert await statements(await entries_of(1)) == expected


async def test_statements_of_a_group_of_500() -> None:
    assert await statements(await entries_of(GROUP)) == [*LOCKED, *MANY]


async def test_statements_of_an_end() -> None:
    assert await statements(await entries_of(1, DONE, status=Status.DONE)) == WHOLE


async def test_ends_add_one_statement_to_a_group() -> None:
    ends = await entries_of(20, DONE, status=Status.DONE)
    found = await statements([*await entries_of(GROUP), *ends])
    assert found == [*LOCKED, "UPDATE", *MANY]


async def test_sqlites_write_lock_is_taken_first_in_any_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = await entries_of(2)

    def defer() -> None:
        monkeypatch.setattr(connections["default"], "transaction_mode", None, raising=False)

    await database.JOURNAL.call(defer)
    lock = ["DELETE"] if connection.vendor == "sqlite" else []
    assert await statements(entries) == ["BEGIN", *lock, "SELECT", *MANY]


async def test_no_object_of_the_orm_is_made() -> None:
    entries, made = await entries_of(20), []

    def note(sender: type, **_: Any) -> None:
        made.append(sender)

    pre_init.connect(note)
    try:
        await statements(entries)
    finally:
        pre_init.disconnect(note)
    assert made == []


@pytest.mark.parametrize("count", [1, GROUP])
async def test_a_commit_is_one_hop_and_no_task(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the journal's thread, and back; and nothing that is made for each event."""
    loop, counted = asyncio.get_running_loop(), {"calls": 0, "answers": 0, "others": 0, "tasks": 0}

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return function(*args, **kwargs)

        return call

    published: list[int] = []

    async def publish(events: Sequence[Any]) -> None:
        published.append(len(events))

    entries = await entries_of(count)
    writer = JournalWriter(events_per_second=10, publish=publish)
    task = spawn(writer.run(), "test-writer")
    await asyncio.sleep(0)  # it waits
    monkeypatch.setattr(CallThreads, "call", counting("calls", CallThreads.call))
    monkeypatch.setattr(
        loop, "call_soon_threadsafe", counting("answers", loop.call_soon_threadsafe)
    )
    monkeypatch.setattr(loop, "run_in_executor", counting("others", loop.run_in_executor))
    monkeypatch.setattr(loop, "create_task", counting("tasks", loop.create_task))
    for entry in entries:
        writer.report(Lease(job=entry.job, epoch=1), Fact(pct=1))
    await writer.drained()
    monkeypatch.undo()
    task.cancel()
    await asyncio.wait({task})

    assert published == [count]
    assert counted == {"calls": 1, "answers": 1, "others": 0, "tasks": 0}
