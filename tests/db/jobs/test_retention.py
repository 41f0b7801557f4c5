"""`denoise_prune`: which jobs are deleted, which are kept, and in which batches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.test import override_settings

from denoise_relay.jobs import retention
from denoise_relay.lifecycle import ACTIVE, Status
from denoise_relay.models import Event, Job
from tests.db.factories import fail, finish, stored_job
from tests.db.jobs.prune_command import aged, exists, orphan, prune

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def test_old_ended_jobs_go_with_events_and_files(media: Path) -> None:
    gone = [aged(finish(stored_job()), 31), aged(fail(stored_job(), "No."), 31)]
    kept = aged(finish(stored_job()), 29)
    output = prune("--days", "30")
    assert list(Job.objects.all()) == [kept]
    assert not Event.objects.filter(job__in=gone).exists()
    assert Event.objects.filter(job=kept).count() == kept.seq
    assert exists(*(job.original.name for job in gone)) == [False, False]
    assert exists(kept.original.name, kept.result.name) == [True, True]
    assert "Deleted 2 jobs with 4 events and 3 files, 0 orphaned files." in output
    # No empty folders are left behind either.
    assert len(list((media / "denoise").iterdir())) == 2


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_active_jobs_stay_whatever_their_age(status: Status) -> None:
    job = aged(stored_job(status=status.value), 4000)
    prune("--days", "1")
    assert Job.objects.get() == job
    assert exists(job.original.name) == [True]


def test_dry_run_counts_and_deletes_nothing() -> None:
    job = aged(finish(stored_job()), 31)
    lost = orphan(days=2)
    assert "Would delete 1 jobs with 2 events and 2 files, 1 orphaned files." in prune(
        "--days", "30", "--dry-run"
    )
    assert Job.objects.get() == job
    assert exists(job.original.name, job.result.name, lost) == [True] * 3


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
    output = prune()
    assert "RETENTION_DAYS is 0" in output
    assert Job.objects.get() == job
    assert exists(lost) == [False]
    with override_settings(DENOISE_RELAY={"RETENTION_DAYS": 30}):
        assert "Deleted 1 jobs" in prune()
    assert not Job.objects.exists()


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "all"])
def test_an_invalid_number_of_days_is_refused(days: str) -> None:
    with pytest.raises(CommandError, match=re.escape(repr(days))):
        prune(f"--days={days}")
