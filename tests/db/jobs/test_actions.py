"""Submit, cancel and retry."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import translation

import denoise_relay
from denoise_relay import engine, signals
from denoise_relay.events import Stage
from denoise_relay.jobs import actions, enqueue, queue_positions
from denoise_relay.jobs.limits import Origin
from denoise_relay.journal import leases
from denoise_relay.models import Job
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database
from denoise_relay.waveform import Peaks
from tests.db.checks import checked_events
from tests.db.factories import end, make_job, stored_job
from tests.db.jobs.test_validation import tone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of events that were published, after they were committed."""
    numbers: list[int] = []

    def publish_soon(events: Any) -> None:
        for event in events:
            assert Job.objects.get(pk=event.job).seq >= event.seq
            numbers.append(event.seq)

    monkeypatch.setattr(publisher, "publish_soon", publish_soon)
    return numbers


@pytest.fixture(autouse=True)
def _no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available", lambda *_: False)


def test_submit(published: list[int]) -> None:
    content = tone()

    first = denoise_relay.submit(ContentFile(content, "Talk.WAV"))
    second = denoise_relay.submit(ContentFile(content, "b.mp4"), name="Holidays")

    assert (first.file_name, first.size_bytes, first.is_video) == ("Talk.WAV", len(content), False)
    assert (second.file_name, second.is_video) == ("Holidays.mp4", True)
    assert Path(first.original.path).read_bytes() == content
    assert [e.message for e in checked_events(first.pk)] == ["Queued"]
    assert [e.message for e in checked_events(second.pk)] == ["Queued, 1 ahead"]
    assert (second.seq, second.message) == (1, "Queued, 1 ahead")
    assert published == [1, 1]


async def test_asubmit(published: list[int]) -> None:
    job = await denoise_relay.asubmit(ContentFile(tone(), "a.wav"), visitor="token")

    assert (await Job.objects.aget(visitor="token")).pk == job.pk
    assert published == [1]


def test_events_are_in_the_sites_language_not_the_persons(published: list[int]) -> None:
    with translation.override("ar"):
        job = actions.submit(ContentFile(tone(), "a.wav"))
        actions.cancel(job)
        assert translation.get_language() == "ar"

    assert [event.message for event in checked_events(job.pk)] == ["Queued", "Canceled."]


def test_no_file_is_left_of_a_job_that_could_not_be_made(
    media: Path, monkeypatch: pytest.MonkeyPatch, published: list[int]
) -> None:
    def away(alias: str, turn: int) -> int:
        raise DatabaseError("gone")

    monkeypatch.setattr(queue_positions, "ahead_of", away)

    with pytest.raises(DatabaseError):
        actions.submit(ContentFile(tone(), "a.wav"))

    assert not Job.objects.exists()
    assert [path for path in media.rglob("*") if path.is_file()] == []
    assert published == []


@pytest.fixture
def lost_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit is made, and then the connection breaks."""
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def commit_and_break(self: BaseDatabaseWrapper) -> None:
        commit(self)
        monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit)
        self.connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit_and_break)


@pytest.mark.usefixtures("lost_answer")
def test_a_commit_whose_answer_is_lost_keeps_the_recording(published: list[int]) -> None:
    """On a server the job is found again. SQLite's own errors are certain, but the file stays."""
    with contextlib.suppress(OperationalError):
        submitted = actions.submit(ContentFile(tone(), "a.wav"))
        assert (submitted.seq, submitted.message, published) == (1, "Queued", [1])

    job = Job.objects.get()
    assert Path(job.original.path).read_bytes() == tone()
    assert [event.message for event in checked_events(job.pk)] == ["Queued"]
    if connection.vendor != "sqlite":
        assert submitted.pk == job.pk


def test_files_stay_where_nobody_knows_whether_there_is_a_row(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may commit after any look for the row. Orphans are found later."""

    def lost(_job: Job, _origin: Origin | None, _drawn: Mapping[str, Peaks]) -> Job:
        raise OperationalError("timeout")

    monkeypatch.setattr(enqueue, "_insert", lost)
    monkeypatch.setattr(enqueue, "RETRIES", (0.0,))
    with pytest.raises(OperationalError):
        actions.submit(ContentFile(tone(), "a.wav"))

    kept = [path for path in media.rglob("*") if path.is_file()]
    assert len(kept) == (connection.vendor != "sqlite")


def test_cancel_fences_the_runner_off(published: list[int]) -> None:
    job = make_job()
    leases.claim("me", 1, 60)

    assert actions.cancel(job)

    job.refresh_from_db()
    assert (job.status, job.epoch, job.lease_until) == ("canceled", 2, None)
    assert job.finished_at is not None
    assert leases.renew("me", {job.pk}, 60) == set()
    assert leases.claim("you", 9, 60) == []
    assert [e.stage for e in checked_events(job.pk)] == [Stage.PROCESSING, Stage.ERROR]
    assert published == [2]


def test_an_ended_job_is_not_canceled(published: list[int]) -> None:
    job = make_job()
    end(job)
    heard: list[str] = []

    def on_failed(job: Job, **_: Any) -> None:
        heard.append(job.status)

    signals.job_failed.connect(on_failed)
    try:
        assert not actions.cancel(job)
        other = make_job()
        assert actions.cancel(other)
        assert not actions.cancel(other)
    finally:
        signals.job_failed.disconnect(on_failed)

    job.refresh_from_db()
    assert job.status == "done"
    assert heard == ["canceled"]


def test_cancel_of_a_deleted_job() -> None:
    job = make_job()
    Job.objects.all().delete()

    assert not actions.cancel(job)


async def test_a_retry_is_a_new_job_from_the_same_file(published: list[int]) -> None:
    job = await database.call(stored_job, visitor="token", duration_seconds=2.0)
    await actions.acancel(job)

    anew = await actions.aretry(
        await Job.objects.select_related("owner", "api_key").aget(pk=job.pk)
    )

    assert anew.pk != job.pk
    assert anew.retry_of_id == job.pk
    assert anew.original.name == job.original.name
    assert (anew.visitor, anew.file_name, anew.duration_seconds) == ("token", "voice.wav", 2.0)
    assert (anew.status, anew.epoch, anew.attempt) == ("queued", 0, 0)
    assert [event.message for event in await database.call(checked_events, anew.pk)] == ["Queued"]
