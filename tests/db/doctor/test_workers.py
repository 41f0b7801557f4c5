"""What the doctor says of workers and of the last jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from pytest_django import Settings

from denoise_relay.doctor.run import Level
from denoise_relay.doctor.workers import work
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from tests.db.doctor.examining import committed, found, worst
from tests.db.factories import FAILED, end, make_job


def old_job(**columns: Any) -> Job:
    job = make_job(**columns)
    Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    return job


@committed
def test_queued_jobs_that_nobody_claims(settings: Settings) -> None:
    assert [level for level, _text in found(work)] == [Level.OK]
    make_job()
    assert [level for level, _text in found(work)] == [Level.OK], "it may be claimed any moment"
    old_job()
    bad = worst(work)
    assert bad.level is Level.FAIL
    assert bad.text.startswith("1 jobs wait, the oldest since ")
    assert "denoise_worker" in bad.remedy
    settings.DENOISE_RELAY = {"WORKER": "embedded"}
    assert "Start the server" in worst(work).remedy


@committed
def test_lease_that_ran_out_and_nobody_took() -> None:
    past = timezone.now() - timedelta(minutes=2)
    make_job(status=Status.PROCESSING, lease_owner="dead", lease_until=past)
    assert worst(work).level is Level.FAIL


@committed
def test_workers_that_are_full() -> None:
    make_job(lease_owner="busy", lease_until=timezone.now() + timedelta(seconds=9))
    assert found(work) == [(Level.OK, "1 processes run 1 jobs: busy.")]
    old_job()
    bad = worst(work)
    assert bad.level is Level.WARN
    assert bad.text.endswith("1 processes are busy with 1.")


@committed
def test_jobs_that_fail() -> None:
    for _ in range(4):
        end(make_job(), FAILED)
    assert [level for level, _text in found(work)] == [Level.OK], "too few to tell"
    end(make_job())
    bad = worst(work)
    assert bad.level is Level.WARN
    assert bad.text == "4 of 5 jobs of the last hour failed, the latest with: No audio"
