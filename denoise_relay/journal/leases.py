"""Leases: which supervisor may run a job, until when, and under which fencing number.

Claiming a job raises its `epoch`, and every write names the epoch of its lease
(`journal.append`), so a process that was paused for longer than its lease changes no row
afterwards. The clock is the database's where several machines share one, the host's on SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connections, router
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from denoise_relay.journal import clock
from denoise_relay.models import Job, current_jobs
from denoise_relay.runtime import metrics
from denoise_relay.runtime.database import write_transaction

#: The order in which waiting jobs are claimed: the submitters in turn (`jobs.turns`).
CLAIM_ORDER = ("turn", "created_at", "id")
#: Jobs that one statement leases. SQLite takes 1,000 parameters in old versions.
CLAIMED_AT_A_TIME = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to run one job."""

    job: UUID
    epoch: int


def claim(owner: str, limit: int, seconds: float, *, backend: str = "") -> list[Lease]:
    """Lease up to `limit` jobs that nobody runs, for `seconds`, and note the name of the backend
    that will do them. Their submitters take turns; of one submitter, the oldest come first."""
    with write_transaction() as alias:
        waiting = free(alias).order_by(*CLAIM_ORDER)
        if connections[alias].features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        # Nobody else claims these: their rows are locked, or (SQLite) all that is written is.
        found = list(waiting.values_list("pk", "epoch", "lease_owner")[:limit])
        for start in range(0, len(found), CLAIMED_AT_A_TIME):
            some = [pk for pk, _, _ in found[start : start + CLAIMED_AT_A_TIME]]
            Job.objects.using(alias).filter(pk__in=some, finished_at=None).update(
                epoch=F("epoch") + 1,
                lease_owner=owner,
                backend=backend,
                lease_until=clock.later(alias, seconds),
                started_at=Coalesce(F("started_at"), clock.now(alias)),
                ahead=None,
            )
    # A released lease has no owner, so only expired ones count.
    metrics.TAKEOVERS.inc(sum(bool(holder) for _, _, holder in found))
    return [Lease(job=pk, epoch=epoch + 1) for pk, epoch, _ in found]


def renew(owner: str, held: set[UUID], seconds: float) -> set[UUID]:
    """Renew `held` and return those that are still `owner`'s.

    An ended job keeps its last owner, because its runner may not have heard of its end yet.
    """
    with write_transaction() as alias:
        mine = Job.objects.using(alias).filter(lease_owner=owner, pk__in=held)
        if connections[alias].features.has_select_for_update:
            # Locked in the same order as by the journal. An UPDATE alone locks rows in the
            # order of the disk, and could deadlock with a group of events.
            mine = mine.select_for_update().order_by("pk")
        still = set(mine.values_list("pk", flat=True))
        Job.objects.using(alias).filter(pk__in=still).update(
            lease_until=clock.later(alias, seconds)
        )
        return still


def release(owner: str) -> int:
    """Release all leases of `owner`, so that others need not wait for their expiry.

    Returns how many. May be repeated.
    """
    alias = router.db_for_write(Job)
    mine = Job.objects.using(alias).filter(lease_owner=owner, finished_at=None)
    return mine.update(lease_owner="", lease_until=None)


def leased(lease: Lease) -> QuerySet[Job]:
    """The job, as long as nobody else has claimed it. From the database that is written to: a
    replica that lags would not know of a submission, and the job would be submitted again."""
    return current_jobs().filter(pk=lease.job, epoch=lease.epoch)


def leased_job(lease: Lease) -> tuple[Job, datetime]:
    """The job, and the time by the clock that has set its `started_at`.

    Raises `Job.DoesNotExist` if the job was deleted or is not ours any more.
    """
    query = leased(lease)
    job = query.annotate(read_at=clock.now(query.db)).get()
    return job, job.read_at


def free(alias: str) -> QuerySet[Job]:
    """Unfinished jobs without a lease, or whose lease has expired."""
    # Filtered by finished_at, the condition of the index of active jobs.
    unfinished = Job.objects.using(alias).filter(finished_at=None)
    return unfinished.filter(Q(lease_until=None) | Q(lease_until__lt=clock.now(alias)))
