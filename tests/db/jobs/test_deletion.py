"""Deleting a job, and the jobs of a user who is deleted: rows, files, viewers, runners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import transaction
from pytest_django import Settings

import denoise_relay
from denoise_relay import signals
from denoise_relay.events import Event as Published
from denoise_relay.events import Stage
from denoise_relay.jobs import actions
from denoise_relay.journal import leases
from denoise_relay.lifecycle import Status
from denoise_relay.models import (
    DerivedFile,
    Event,
    Job,
    Part,
    Segment,
    Waveform,
    media_name,
    media_storage,
)
from denoise_relay.pubsub import publisher
from tests.db.analyses import add_file, add_segment, analysed_job
from tests.db.factories import DONE, append, fail, finish, stored_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


def stored(media: Path) -> list[Path]:
    """Everything that is in the storage, folders too."""
    return sorted(media.rglob("denoise/*")) + sorted(media.rglob("denoise/*/*"))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Published]:
    events: list[Published] = []
    monkeypatch.setattr(publisher, "publish_soon", events.extend)
    return events


def test_a_job_goes_with_its_events_and_files(media: Path) -> None:
    job = finish(stored_job())
    assert denoise_relay.delete(job)
    assert not Job.objects.exists()
    assert not Event.objects.exists()
    assert stored(media) == []
    assert not denoise_relay.delete(job)


def test_a_job_goes_with_its_analysis(media: Path) -> None:
    other, job = analysed_job(), analysed_job()
    add_file(job, "mp3-0.80", b"mp3", "mp3")
    add_segment(job, 0)
    kept = {Path(row.file.path) for row in other.derived_files.all()}

    assert denoise_relay.delete(job)

    assert {row.job_id for row in Waveform.objects.all()} == {other.pk}
    assert {row.job_id for row in DerivedFile.objects.all()} == {other.pk}
    assert not Segment.objects.exists()
    recordings = {Path(file.path) for file in (other.original, other.result)}
    assert {path for path in stored(media) if path.is_file()} == kept | recordings


def test_a_running_job_is_canceled_first(media: Path, published: list[Published]) -> None:
    job = stored_job()
    name = media_storage().save(media_name(job, "part.flac"), ContentFile(b"part"))
    Part.objects.create(job=job, index=0, start=0, end=1, result=name)
    (lease,) = leases.claim("worker", 1, 60)
    failed: list[tuple[str, str]] = []

    def receive(job: Job, **kwargs: Any) -> None:
        failed.append((str(job.pk), job.status))

    signals.job_failed.connect(receive)
    try:
        assert denoise_relay.delete(job)
    finally:
        signals.job_failed.disconnect(receive)
    assert [(event.stage, event.message) for event in published] == [(Stage.ERROR, "Canceled.")]
    assert failed == [(str(job.pk), Status.CANCELED)]
    # Its runner loses the lease, and stops.
    assert leases.renew("worker", {lease.job}, 60) == set()
    assert stored(media) == []


def test_its_runner_writes_nothing_any_more() -> None:
    job = stored_job()
    (lease,) = leases.claim("worker", 1, 60)
    denoise_relay.delete(job)
    assert not append(job, DONE, epoch=lease.epoch, status=Status.DONE).written
    assert not Event.objects.exists()


@pytest.mark.parametrize("first", ["job", "retry"])
def test_a_file_that_another_try_needs_stays_until_the_last(media: Path, first: str) -> None:
    job = fail(stored_job(b"original"), "Lost")
    retry = actions.retry(job)
    one, other = (job, retry) if first == "job" else (retry, job)
    denoise_relay.delete(one)
    kept = Job.objects.get()
    assert (kept.pk, kept.retry_of_id) == (other.pk, None)
    with kept.original.open() as file:
        assert file.read() == b"original"
    denoise_relay.delete(other)
    assert stored(media) == []


def test_nothing_is_deleted_when_the_sites_transaction_rolls_back(
    media: Path, published: list[Published]
) -> None:
    job = stored_job()
    before = stored(media)
    with transaction.atomic():
        denoise_relay.delete(job)
        transaction.set_rollback(True)
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert (stored(media), published) == (before, [])


def test_a_storage_that_fails_keeps_the_row_deleted(
    media: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = stored_job()

    def refuse(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(media_storage(), "delete", refuse)
    assert denoise_relay.delete(job)
    assert not Job.objects.exists()
    assert "did not delete" in caplog.text


@pytest.fixture
def user(settings: Settings) -> User:
    settings.DENOISE_RELAY = {"ON_USER_DELETE": "delete", "WORKER": "external"}
    return User.objects.create_user("ada")


def test_the_jobs_of_a_deleted_user_go_with_them(media: Path, user: User) -> None:
    analysed_job(owner=user)
    stored_job(owner=user)
    other = stored_job(owner=User.objects.create_user("bob"))
    user.delete()
    assert Job.objects.get() == other
    assert len(stored(media)) == 2  # a folder and a file


def test_more_jobs_than_one_batch(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("denoise_relay.jobs.deletion.JOBS_AT_A_TIME", 2)
    for _ in range(5):
        stored_job(owner=user)
    User.objects.filter(pk=user.pk).delete()  # a queryset's delete tells the receivers, too
    assert not Job.objects.exists()


def test_a_user_who_is_not_deleted_in_the_end_keeps_them(media: Path, user: User) -> None:
    stored_job(owner=user)
    before = stored(media)
    with transaction.atomic():
        user.delete()
        transaction.set_rollback(True)
    assert Job.objects.get().owner == User.objects.get(username="ada")
    assert stored(media) == before


def test_by_default_they_are_kept_for_staff(user: User, settings: Settings) -> None:
    settings.DENOISE_RELAY = {"WORKER": "external"}
    job = stored_job(owner=user)
    user.delete()
    job.refresh_from_db()
    assert job.owner is None
