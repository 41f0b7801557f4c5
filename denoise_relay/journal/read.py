"""Reads the journal: the newest event, the events after a number, the positions of many jobs.

Queries go to the database that is written to: a lagging replica would not have events that
viewers were already sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import router
from django.db.models import QuerySet

from denoise_relay import events, models
from denoise_relay.events import Stage

#: Events read at a time when a viewer catches up.
PAGE = 500


def as_event(row: models.Event) -> events.Event:
    """Convert a row to the event that is published."""
    return events.Event(
        job=row.job_id,
        seq=row.seq,
        stage=Stage(row.stage),
        pct=row.pct,
        message=row.message,
        url=row.url,
        warning=row.warning,
        at=row.at,
    )


def latest(job: UUID) -> events.Event | None:
    """The newest event of a job; None when there is no such job."""
    row = _events().filter(job=job).order_by("-seq").first()
    return as_event(row) if row else None


def after(job: UUID, seq: int, limit: int = PAGE) -> list[events.Event]:
    """At most `limit` events with a greater seq, in order."""
    rows = _events().filter(job=job, seq__gt=seq).order_by("seq")[:limit]
    return [as_event(row) for row in rows]


def newest(job: UUID, limit: int) -> list[events.Event]:
    """The newest `limit` events of a job, in order; none when there is no such job."""
    rows = _events().filter(job=job).order_by("-seq")[:limit]
    return [as_event(row) for row in rows][::-1]


def positions(jobs: Sequence[UUID]) -> dict[UUID, tuple[int, bool]]:
    """The newest seq of each job and whether it has ended, in one query; pass at most a few
    hundred jobs."""
    rows = models.current_jobs().filter(pk__in=jobs)
    found = rows.values_list("pk", "seq", "finished_at")
    return {pk: (seq, finished_at is not None) for pk, seq, finished_at in found}


def _events() -> QuerySet[models.Event]:
    return models.Event.objects.using(router.db_for_write(models.Event))
