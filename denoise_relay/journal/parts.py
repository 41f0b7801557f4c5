"""Writes the parts of jobs, each write fenced by the lease of the job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from denoise_relay.exceptions import LeaseLost
from denoise_relay.journal.leases import Lease
from denoise_relay.models import Job, Part
from denoise_relay.runtime.database import write_transaction


def planned(lease: Lease, spans: Sequence[tuple[int, int]]) -> list[Part]:
    """The parts of a job, in order: those that an earlier runner planned, else these.

    May be repeated. Raises `LeaseLost` if the job is no longer ours.
    """
    with write_transaction() as alias:
        fence(alias, lease)
        parts = Part.objects.using(alias).filter(job=lease.job).order_by("index")
        if not parts.exists():
            Part.objects.using(alias).bulk_create(
                Part(job_id=lease.job, index=index, start=start, end=end)
                for index, (start, end) in enumerate(spans)
            )
        return list(parts.all())


def update(lease: Lease, part: Part, **changes: Any) -> None:
    """Change columns of a part. May be repeated. Raises `LeaseLost` if the job is not ours."""
    with write_transaction() as alias:
        fence(alias, lease)
        Part.objects.using(alias).filter(pk=part.pk).update(**changes)


def fence(alias: str, lease: Lease) -> None:
    """Raise `LeaseLost` unless the job is ours, and keep it so until the transaction's end."""
    ours = Job.objects.using(alias).filter(pk=lease.job, epoch=lease.epoch, finished_at=None)
    # Locked until the commit, so that no cancel and no other runner comes in between.
    if not ours.select_for_update().exists():
        raise LeaseLost
