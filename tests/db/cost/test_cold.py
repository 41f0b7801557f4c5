"""What does not grow: a page's queries with the jobs, the journal's with those who return."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from denoise_relay import access
from denoise_relay.access import SESSION_KEY
from denoise_relay.events import Fact
from denoise_relay.journal import leases, read
from denoise_relay.live.feed import Feed
from denoise_relay.live.watcher import Watcher
from denoise_relay.models import Event, Job
from tests.db.factories import append, make_job

FEW, MANY = 10, 1000
RETURNING = 50
PAGES = {
    "own list": "/",
    "its last page": "/?page=last",
    "admin list": "/admin/denoise_relay/job/",
    "admin search": "/admin/denoise_relay/job/?q=voice",
    "API": "/api/v1/denoise?limit=20",
    "API, further down": "/api/v1/denoise?limit=5&offset=5",
}


def make_jobs(count: int, owner: User, visitor: str) -> None:
    """Done jobs with an event each; a third are the owner's alone, a third the visitor's, too."""
    now = timezone.now()
    ended = {"status": "done", "stage": "done", "pct": 100.0, "seq": 1, "finished_at": now}
    jobs = Job.objects.bulk_create(
        Job(
            id=uuid4(),
            original="denoise/none/voice.wav",
            file_name=f"voice {number}.wav",
            owner=None if number % 3 == 0 else owner,
            visitor="" if number % 3 == 1 else visitor,
            **ended,
        )
        for number in range(count)
    )
    Event.objects.bulk_create(Event(job=j, seq=1, stage="done", pct=100.0, at=now) for j in jobs)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_page_costs_the_same_queries_for_any_number_of_jobs(path: str) -> None:
    owner = User.objects.create_superuser("owner")
    headers = {"x-api-key": access.create_api_key("key", owner)} if "/api/" in path else {}
    client = Client(headers=headers)
    client.force_login(owner)
    session = client.session
    session[SESSION_KEY] = "visitor"
    session.save()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    make_jobs(FEW, owner, "visitor")
    queries()  # the first one fills caches
    few = queries()
    make_jobs(MANY - FEW, owner, "visitor")

    # One more: the admin counts where there is a second page.
    assert queries() <= few + 1
    assert few <= 8


@pytest.mark.django_db(transaction=True)
def test_a_worker_claims_many_jobs_with_the_queries_of_one() -> None:
    def queries(count: int) -> int:
        Job.objects.bulk_create(Job(original="denoise/none/voice.wav") for _ in range(count))
        with CaptureQueriesContext(connection) as captured:
            assert len(leases.claim("worker", MANY, 60)) == count
        return len(captured)

    assert queries(1) == queries(100)


@pytest.fixture
def journal_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions by which the journal was read."""
    names: list[str] = []

    def counted(name: str) -> None:
        function = getattr(read, name)

        def call(*args: object) -> object:
            names.append(name)
            return function(*args)

        monkeypatch.setattr(read, name, call)

    for name in ("latest", "after", "newest"):
        counted(name)
    return names


@pytest.fixture
def one_job() -> Iterator[Job]:
    """A job with ten events."""
    job = make_job()
    for number in range(9):
        append(job, Fact(pct=float(number)))
    yield job
    connections.close_all()


async def seqs(watcher: Watcher, job: Job, after: int | None) -> list[int]:
    return [frame.seq async for frame in watcher.watch(job.pk, after)]


@pytest.mark.django_db(transaction=True)
async def test_viewers_who_return_at_once_cost_one_query_of_the_journal(
    the_feed: Feed, journal_reads: list[str], one_job: Job
) -> None:
    watchers = [Watcher() for _ in range(RETURNING)]
    found = await asyncio.gather(
        *(seqs(watcher, one_job, number % 10) for number, watcher in enumerate(watchers))
    )
    for number, numbers in enumerate(found):
        assert numbers == list(range(number % 10 + 1, 11))
    # One after the other, and one who wants the newest only.
    late = [Watcher(), Watcher()]
    assert await seqs(late[0], one_job, 3) == list(range(4, 11))
    assert await seqs(late[1], one_job, None) == [10]

    assert journal_reads == ["newest"]
    for watcher in [*watchers, *late]:
        watcher.close()
