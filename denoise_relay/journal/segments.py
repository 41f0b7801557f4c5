"""Writes the segments of a job that runs, each write fenced by the job's lease."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from denoise_relay import engine
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.parts import fence
from denoise_relay.models import Segment
from denoise_relay.runtime.database import write_transaction

#: How long a job has ended whose segments are still there because a process died.
LEFT_BEHIND: Final = timedelta(hours=1)


def add(lease: Lease, segments: Sequence[engine.Segment], *, anew: bool) -> None:
    """Add segments; with `anew`, delete those of an earlier runner first.

    May be repeated. Raises `LeaseLost` if the job is no longer ours, or has ended.
    """
    with write_transaction() as alias:
        fence(alias, lease)
        rows = Segment.objects.using(alias)
        if anew:
            rows.filter(job=lease.job).delete()
        rows.bulk_create(
            (
                Segment(
                    job_id=lease.job,
                    number=segment.number,
                    duration_seconds=segment.duration_seconds,
                    sample_rate=segment.sample_rate,
                    samples_per_pixel=segment.samples_per_pixel,
                    peaks=segment.peaks,
                    audio=segment.audio,
                )
                for segment in segments
            ),
            ignore_conflicts=True,
        )


def discard(job: UUID) -> None:
    """Delete the segments of a job. May be repeated."""
    _of(job=job).delete()


def discard_of_ended(job: UUID) -> None:
    """Delete the segments of a job if it has ended."""
    _of(job=job, job__finished_at__isnull=False).delete()


def discard_left_behind() -> None:
    """Delete the segments of jobs that ended long ago."""
    _of(job__finished_at__lt=timezone.now() - LEFT_BEHIND).delete()


def _of(**jobs: Any) -> QuerySet[Segment]:
    return Segment.objects.using(router.db_for_write(Segment)).filter(**jobs)
