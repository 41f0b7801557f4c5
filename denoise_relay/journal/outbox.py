"""The outbox: ended jobs of which the site's receivers have not been told yet.

The transaction that ends a job marks it (`append`), so that no end is forgotten when the process
dies right after. Whoever sends the signal leases the job first, and unmarks it when the receivers
have returned; if it dies in between, the lease expires, and another sends the signal again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from denoise_relay.journal import clock
from denoise_relay.models import Job, current_jobs


def claim(limit: int, seconds: float) -> list[UUID]:
    """Lease up to `limit` jobs whose signal nobody sends, oldest first, for `seconds`."""
    if limit <= 0:
        return []
    found = _free().order_by("finished_at").values_list("pk", "signal_lease_until")[:limit]
    # Compare and swap: of several processes that have read the same row, one changes it. No
    # transaction, because most of the time there is nothing to write.
    return [pk for pk, until in found if _lease(_marked().filter(pk=pk), until, seconds)]


def claim_one(job: UUID, seconds: float) -> bool:
    """Lease this job; false when its signal was sent, or somebody sends it now."""
    found = _free().filter(pk=job).values_list("signal_lease_until").first()
    return found is not None and _lease(_marked().filter(pk=job), found[0], seconds)


def renew(jobs: Collection[UUID], seconds: float) -> None:
    """Extend leases while receivers run."""
    leased = _marked().filter(pk__in=jobs)
    leased.update(signal_lease_until=clock.later(leased.db, seconds))


def clear(job: UUID) -> None:
    """Note that the receivers have returned. May be repeated."""
    _marked().filter(pk=job).update(signal_pending=False, signal_lease_until=None)


def _marked() -> QuerySet[Job]:
    return current_jobs().filter(signal_pending=True)


def _free() -> QuerySet[Job]:
    marked = _marked()
    now = clock.now(marked.db)
    return marked.filter(Q(signal_lease_until=None) | Q(signal_lease_until__lt=now))


def _lease(row: QuerySet[Job], until: datetime | None, seconds: float) -> bool:
    same = row.filter(signal_lease_until=until)
    return bool(same.update(signal_lease_until=clock.later(row.db, seconds)))
