"""`denoise_prune`: what goes, what stays, and in which order."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.utils import timezone
from pytest_django import Settings

from denoise_relay.jobs import actions, retention
from denoise_relay.lifecycle import ACTIVE, Status
from denoise_relay.models import Event, Job, media_name, media_storage
from tests.db.factories import fail, finish, stored_job
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media_root(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def exists(*names: str | None) -> list[bool]:
    """For each file, whether the storage has it."""
    return [bool(name) and media_storage().exists(name or "") for name in names]


def prune(*arguments: str) -> str:
    out = io.StringIO()
    call_command("denoise_prune", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def aged(job: Job, days: float) -> Job:
    """Make a job look as old as that."""
    moment = timezone.now() - timedelta(days=days)
    columns = {"created_at": moment}
    if job.ended:
        columns["finished_at"] = moment
    Job.objects.filter(pk=job.pk).update(**columns)
    job.refresh_from_db()
    return job


def orphan(days: float, name: str = "") -> str:
    """A file in the storage that no job names."""
    stored = media_storage().save(name or media_name(Job(), "x.flac"), ContentFile(b"orphan"))
    moment = time.time() - days * 86400
    os.utime(media_storage().path(stored), (moment, moment))
    return stored


def test_old_ended_jobs_go_with_events_and_files(media_root: Path) -> None:
    gone = [aged(finish(stored_job()), 31), aged(fail(stored_job(), "No."), 31)]
    kept = aged(finish(stored_job()), 29)
    said = prune("--days", "30")
    assert list(Job.objects.all()) == [kept]
    assert not Event.objects.filter(job__in=gone).exists()
    assert Event.objects.filter(job=kept).count() == kept.seq
    assert exists(*(job.original.name for job in gone)) == [False, False]
    assert exists(kept.original.name, kept.result.name) == [True, True]
    assert "Deleted 2 jobs with 4 events and 3 files, 0 orphaned files." in said
    # No empty folders are left behind either.
    assert len(list((media_root / "denoise").iterdir())) == 2


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_active_jobs_stay_whatever_their_age(status: Status) -> None:
    job = aged(stored_job(status=status.value), 4000)
    prune("--days", "1")
    assert Job.objects.get() == job
    assert exists(job.original.name) == [True]


def test_retry_keeps_the_file_of_its_deleted_job() -> None:
    job = aged(fail(stored_job(), "No."), 40)
    again = actions.retry(job)
    assert again.original.name == job.original.name
    said = prune("--days", "30")
    again.refresh_from_db()
    assert again.retry_of is None
    assert exists(again.original.name) == [True]
    assert "Kept 1 files that retries still use." in said
    # Nor does the sweep take it for an orphan, although the job in its name is gone.
    os.utime(again.original.path, (0, 0))
    assert "0 orphaned files" in prune("--days", "30")
    assert exists(again.original.name) == [True]
    # With the last job that names it, it goes.
    aged(fail(again, "No again."), 40)
    prune("--days", "30")
    assert exists(job.original.name) == [False]


def test_dry_run_counts_and_deletes_nothing() -> None:
    job = aged(finish(stored_job()), 31)
    lost = orphan(days=2)
    assert "Would delete 1 jobs with 2 events and 2 files, 1 orphaned files." in prune(
        "--days", "30", "--dry-run"
    )
    assert Job.objects.get() == job
    assert exists(job.original.name, job.result.name, lost) == [True] * 3


def test_orphans_go_when_they_are_old_and_strangers_stay() -> None:
    old, young = orphan(days=1.1), orphan(days=0.9)
    strangers = [
        orphan(9, "denoise/readme.txt"),
        orphan(9, f"denoise/{'a' * 32}/notes.txt"),
        orphan(9, f"denoise/uploads/{'a' * 32}.part"),
        orphan(9, f"elsewhere/{'a' * 32}/{'b' * 32}.wav"),
    ]
    named = finish(stored_job())
    for file in (named.original, named.result):
        os.utime(file.path, (0, 0))
    assert "1 orphaned files" in prune("--days", "30")
    assert exists(old) == [False]
    assert all(exists(young, *strangers, named.original.name, named.result.name))


def test_batches_are_bounded_by_jobs_and_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "JOBS_AT_A_TIME", 3)
    monkeypatch.setattr(retention, "EVENTS_AT_A_TIME", 4)
    for number in range(7):
        aged(finish(stored_job()), 40 + number)
    steps: list[int] = []
    tally = retention.Tally()
    retention.prune_jobs(
        tally, days=30, dry_run=False, progress=lambda so_far: steps.append(so_far["jobs"])
    )
    assert steps == [2, 4, 6, 7]
    assert not Job.objects.exists()


def test_job_with_very_many_events_is_deleted_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "EVENTS_AT_A_TIME", 1)
    aged(finish(stored_job()), 40)
    prune("--days", "30")
    assert not Job.objects.exists()
    assert not Event.objects.exists()


def test_default_is_the_setting_and_zero_keeps_jobs_but_sweeps() -> None:
    job = aged(finish(stored_job()), 31)
    lost = orphan(days=2)
    said = prune()
    assert "RETENTION_DAYS is 0" in said
    assert Job.objects.get() == job
    assert exists(lost) == [False]
    with override_settings(DENOISE_RELAY={"RETENTION_DAYS": 30}):
        assert "Deleted 1 jobs" in prune()
    assert not Job.objects.exists()


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "all"])
def test_bad_days_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match=re.escape(repr(days))):
        prune(f"--days={days}")


class Stubborn(FileSystemStorage):
    """Refuses to delete, as a bucket without that permission does."""

    def delete(self, name: str) -> None:
        raise PermissionError(name)


class Blind(Storage):
    """Can neither list its files nor delete what it has."""

    def delete(self, name: str) -> None:
        """Like S3: no error, whatever the name."""


def use_storage(settings: Settings, kind: type[Storage]) -> None:
    own = {"BACKEND": f"{kind.__module__}.{kind.__qualname__}"}
    settings.STORAGES = {**settings.STORAGES, "denoise_relay": own}


def test_storage_that_refuses_stops_nothing(settings: Settings) -> None:
    for _ in range(2):
        aged(finish(stored_job()), 31)
    use_storage(settings, Stubborn)
    said = prune("--days", "30")
    assert not Job.objects.exists()
    assert "Deleted 2 jobs with 4 events and 0 files" in said
    assert "4 files could not be deleted" in said


def test_storage_that_cannot_list_is_no_error(settings: Settings) -> None:
    aged(finish(stored_job()), 31)
    use_storage(settings, Blind)
    said = prune("--days", "30")
    assert "Deleted 1 jobs with 2 events and 2 files" in said
    assert "cannot list its files" in said


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_retry_during_a_prune_finds_its_file_or_fails() -> None:
    """The retry's row refers to its job, so the database puts the two in an order."""
    job = aged(fail(stored_job(), "No."), 40)
    with transaction.atomic():
        # The prune has locked and looked, and is about to delete.
        batch = retention._next_batch("default", timezone.now(), None)
        assert [found.pk for found in batch] == [job.pk]
        assert retention._files("default", batch) == ([job.original.name], set())
        outcome: list[object] = []

        def retry() -> None:
            try:
                outcome.append(actions.retry(job))
            except IntegrityError as error:
                outcome.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=retry, name="retry")
        thread.start()
        wait_for(lambda: outcome or _someone_waits_for_a_lock())
        assert not outcome, outcome
        Event.objects.filter(job=job).delete()
        Job.objects.filter(pk=job.pk).delete()
    thread.join(10)
    assert isinstance(outcome[0], IntegrityError)
    assert not Job.objects.exists()


def _someone_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        # Within a transaction PostgreSQL shows what it saw first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        row = cursor.fetchone()
    return bool(row and row[0])
