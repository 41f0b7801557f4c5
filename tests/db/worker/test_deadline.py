"""Jobs that are older than their deadline, and clocks that disagree."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from denoise_relay.backends.base import Result, Run
from denoise_relay.models import Job
from denoise_relay.worker import deadline
from denoise_relay.worker.deadline import Deadline
from tests.db.scripted_backends import Scripted, hang, write_result
from tests.db.worker.working import QUICK, ended, new_job, working

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]

OVERNIGHT = timedelta(hours=9)


async def _read_what_waits(run: Run) -> Result:
    """As the upstream backend does with an id, or with an attempt whose record it finds."""
    assert run.assignment.upstream_id or run.assignment.attempt
    return write_result(run)


@pytest.mark.parametrize(
    "facts", [{"upstream_id": "u-1", "status": "processing"}, {"attempt": 1}], ids=["id", "attempt"]
)
async def test_a_submitted_job_is_looked_at_after_an_outage(facts: dict[str, Any]) -> None:
    job = await new_job(started_at=timezone.now() - OVERNIGHT, **facts)
    async with working(Scripted(QUICK, _read_what_waits)):
        (found,) = await ended(job)
    assert (found.status, found.message) == ("done", "Done")


async def test_the_last_look_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "LAST_LOOK_SECONDS", 0.3)
    job = await new_job(
        started_at=timezone.now() - OVERNIGHT, upstream_id="u-1", status="processing"
    )
    async with working(Scripted(QUICK, hang)):
        (found,) = await ended(job)
    assert (found.status, found.error_detail) == ("error", "deadline")


async def test_only_the_databases_clock_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`started_at` is the database's time; a host that is a day ahead would end every job."""
    now = timezone.now()
    job = Job(started_at=now - timedelta(seconds=10))
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(days=1))
    left = Deadline(job, now, replace(QUICK, JOB_DEADLINE_SECONDS=60)).at
    assert left - asyncio.get_running_loop().time() == pytest.approx(50, abs=1)
