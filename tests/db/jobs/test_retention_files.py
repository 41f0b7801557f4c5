"""`denoise_prune`: files that are shared with a retry, orphaned, or in a storage that fails."""

from __future__ import annotations

import os
import threading

import pytest
from django.core.files.storage import FileSystemStorage, Storage
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from denoise_relay.jobs import actions, retention
from denoise_relay.models import Event, Job, Segment, Waveform, media_storage
from tests.db.analyses import add_segment, analysed_job
from tests.db.factories import fail, finish, stored_job
from tests.db.jobs.prune_command import aged, exists, orphan, prune
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def test_retry_keeps_the_file_of_its_deleted_job() -> None:
    job = aged(fail(stored_job(), "No."), 40)
    again = actions.retry(job)
    assert again.original.name == job.original.name
    output = prune("--days", "30")
    again.refresh_from_db()
    assert again.retry_of is None
    assert exists(again.original.name) == [True]
    assert "Kept 1 files that retries still use." in output
    # Nor is it deleted as an orphan, although the job in its name is gone.
    os.utime(again.original.path, (0, 0))
    assert "0 orphaned files" in prune("--days", "30")
    assert exists(again.original.name) == [True]
    # It is deleted with the last job that names it.
    aged(fail(again, "No again."), 40)
    prune("--days", "30")
    assert exists(job.original.name) == [False]


def test_old_orphans_are_deleted_and_other_files_kept() -> None:
    old, young = orphan(days=1.1), orphan(days=0.9)
    others = [
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
    assert all(exists(young, *others, named.original.name, named.result.name))


def test_analysis_goes_with_its_job_and_is_not_read() -> None:
    kept, old = analysed_job(), aged(analysed_job(), 40)
    for number in range(20):
        add_segment(old, number)
    files = [row.file.name for row in old.derived_files.all()]
    for name in [row.file.name for row in kept.derived_files.all()]:
        os.utime(media_storage().path(name), (0, 0))

    with CaptureQueriesContext(connection) as queries:
        output = prune("--days", "30")
    assert not [query for query in queries if '"audio"' in query["sql"]]

    assert "Deleted 1 jobs with 2 events and 5 files, 0 orphaned files" in output
    assert not any(exists(*files))
    assert Waveform.objects.count() == 2
    assert not Segment.objects.exists()
    assert all(exists(*[row.file.name for row in kept.derived_files.all()]))


def test_derived_file_without_a_row_is_an_orphan() -> None:
    job = analysed_job()
    row = job.derived_files.get(kind="comparison")
    os.utime(row.file.path, (0, 0))
    row.delete()

    assert "1 orphaned files" in prune()
    assert exists(row.file.name) == [False]


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
    output = prune("--days", "30")
    assert not Job.objects.exists()
    assert "Deleted 2 jobs with 4 events and 0 files" in output
    assert "4 files could not be deleted" in output


def test_storage_that_cannot_list_is_no_error(settings: Settings) -> None:
    aged(finish(stored_job()), 31)
    use_storage(settings, Blind)
    output = prune("--days", "30")
    assert "Deleted 1 jobs with 2 events and 2 files" in output
    assert "cannot list its files" in output


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_retry_during_a_prune_finds_its_file_or_fails() -> None:
    """The retry's row refers to its job, so the database lets one wait for the other."""
    job = aged(fail(stored_job(), "No."), 40)
    with transaction.atomic():
        # The prune has locked and read, and is about to delete.
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
        # Within a transaction, PostgreSQL repeats its first answer.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        row = cursor.fetchone()
    return bool(row and row[0])
