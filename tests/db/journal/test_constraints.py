"""The database's own constraints, for code that does not go through `append_entries`."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from denoise_relay import models
from denoise_relay.models import Job
from tests.db.factories import end, make_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": 1},  # taken
        {"seq": 0},
        {"stage": "paused"},
        {"pct": 100.1},
        {"pct": -0.1},
    ],
)
def test_the_database_itself_refuses_bad_events(wrong: dict[str, Any]) -> None:
    job = make_job()
    columns = {"seq": 2, "stage": "processing", "pct": 1.0, "at": timezone.now()} | wrong

    with pytest.raises(IntegrityError), transaction.atomic():
        models.Event.objects.bulk_create([models.Event(job=job, **columns)])


@pytest.mark.parametrize("second", ["done", "error"])
def test_the_database_itself_refuses_a_second_end(second: str) -> None:
    job = make_job()
    end(job)

    with pytest.raises(IntegrityError), transaction.atomic():
        models.Event.objects.create(job=job, seq=9, stage=second, pct=1, at=timezone.now())


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "lost"},
        {"stage": "paused"},
        {"pct": 101},
        {"status": "done"},  # without finished_at
        {"finished_at": timezone.now()},  # while it runs
    ],
)
def test_the_database_itself_refuses_bad_jobs(wrong: dict[str, Any]) -> None:
    job = make_job()

    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**wrong)
