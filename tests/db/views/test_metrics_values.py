"""What each metric counts."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import httpx
import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from denoise_relay.events import Event, Fact, Stage
from denoise_relay.jobs import actions
from denoise_relay.jobs.validation import ValidatedFile
from denoise_relay.journal import leases
from denoise_relay.journal.append import FENCED, Entry
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.lifecycle import Status
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import LIMIT, Mailbox
from denoise_relay.models import Job
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database, metrics
from denoise_relay.views import metrics as view
from tests.db.factories import append, end, make_job
from tests.db.requests import afetch
from tests.db.views.scraping import Client, read, value
from tests.waiting import eventually


@pytest.mark.django_db(transaction=True)
def test_jobs_are_counted_by_status_and_the_queue_has_an_age() -> None:
    for _ in range(3):
        make_job()
    end(make_job())
    oldest = make_job()
    Job.objects.filter(pk=oldest.pk).update(created_at=timezone.now() - timedelta(hours=1))
    read()
    assert value("jobs", status="queued") == 4
    assert value("jobs", status="done") == 1
    assert value("jobs", status="canceled") == 0
    assert value("queue_oldest_seconds") == pytest.approx(3600, abs=30)
    # A claimed job waits no longer.
    Job.objects.filter(status=Status.QUEUED).update(
        lease_owner="somebody", lease_until=timezone.now() + timedelta(hours=1)
    )
    view._counted_at = float("-inf")
    read()
    assert value("queue_oldest_seconds") == 0


@pytest.mark.django_db(transaction=True)
async def test_the_writer_times_what_it_publishes() -> None:
    job = await database.call(make_job)
    before = {
        name: value(name)
        for name in ("publish_latency_seconds_count", "commit_group_entries_count")
    }
    told = value("events_total", stage="processing")
    slow = 0.2

    async def publish(events: object) -> None:
        await asyncio.sleep(slow)

    writer = JournalWriter(events_per_second=1000, publish=publish)
    running = asyncio.create_task(writer.run(), name="writer-under-test")
    try:
        total = value("publish_latency_seconds_sum")
        await writer.write(Lease(job=job.pk, epoch=0), Fact(pct=10.0))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert value("publish_latency_seconds_count") == before["publish_latency_seconds_count"] + 1
    assert value("publish_latency_seconds_sum") - total >= slow
    assert value("commit_group_entries_count") == before["commit_group_entries_count"] + 1
    assert value("events_total", stage="processing") == told + 1


@pytest.mark.django_db
def test_takeover_is_a_lease_that_ran_out() -> None:
    fresh = make_job()
    before = value("lease_takeovers_total")
    assert leases.claim("one", 10, 15.0) == [Lease(job=fresh.pk, epoch=1)]
    assert value("lease_takeovers_total") == before
    leases.release("one")
    leases.claim("two", 10, 15.0)
    assert value("lease_takeovers_total") == before, "handed back is not taken over"
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    leases.claim("three", 10, 15.0)
    assert value("lease_takeovers_total") == before + 1


@pytest.mark.django_db
def test_uploads_are_counted_in_bytes(media: object) -> None:
    before = value("upload_bytes_total")
    recording = ValidatedFile(name="v.wav", size_bytes=1234, duration_seconds=1.0, is_video=False)
    actions._store(Job(), ContentFile(b"x" * 1234, name="v.wav"), recording)
    assert value("upload_bytes_total") == before + 1234


@pytest.mark.django_db(transaction=True)
async def test_watchers_are_the_feeds(the_feed: Feed) -> None:
    job = await database.call(make_job)
    mailboxes = [Mailbox(), Mailbox()]
    for mailbox in mailboxes:
        the_feed.watch(job.pk, mailbox)
    await afetch("/metrics", client=Client())
    assert value("watchers") == 2
    the_feed.unwatch(job.pk, mailboxes[0])
    await afetch("/metrics", client=Client())
    assert value("watchers") == 1


@pytest.mark.django_db(transaction=True)
async def test_gap_in_the_feed_is_counted(the_feed: Feed) -> None:
    job = await database.call(make_job)
    mailbox = Mailbox()
    the_feed.watch(job.pk, mailbox)
    async for _frame in the_feed.replay(job.pk, 0):
        pass
    before = value("feed_gaps_total")
    for number in (2, 3):
        outcome = await database.call(append, job, Fact(pct=float(number)))
    assert outcome.event is not None
    the_feed.deliver(frame_of(outcome.event))  # the third; the second was lost
    assert value("feed_gaps_total") > before
    await eventually(lambda: len(mailbox._frames) == 2)


def test_frames_that_give_way_are_counted() -> None:
    job = Job().pk
    mailbox = Mailbox()
    before = value("skipped_frames_total")
    for number in range(1, LIMIT + 2):
        mailbox.put(
            frame_of(
                Event(
                    job=job,
                    seq=number,
                    stage=Stage.PROCESSING,
                    pct=0.0,
                    message="",
                    at=timezone.now(),
                )
            )
        )
    assert value("skipped_frames_total") == before + LIMIT - 1 == before + mailbox.skipped


def test_time_is_counted_from_when_it_was_said() -> None:
    entry = Entry(job=Job().pk, epoch=0)
    assert entry.reported_at <= time.monotonic()
    assert entry == Entry(job=entry.job, epoch=0), "not part of what was said"
    assert FENCED.written is False


def test_worker_shows_its_own_on_a_port(unused_tcp_port: int) -> None:
    server = metrics.serve(unused_tcp_port)
    try:
        answer = httpx.get(f"http://127.0.0.1:{unused_tcp_port}/metrics", trust_env=False)
        assert "denoise_relay_runners" in answer.text
        with pytest.raises(OSError, match="in use"):
            metrics.serve(unused_tcp_port)
    finally:
        server.shutdown()
        server.server_close()
