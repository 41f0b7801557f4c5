"""The workers: are queued jobs claimed, and do jobs end well?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import router
from django.db.models import Min, Q
from django.utils import timezone

from denoise_relay.conf import relay_settings
from denoise_relay.doctor.run import Finding, blocking, fail, ok, warn
from denoise_relay.journal import leases
from denoise_relay.lifecycle import ACTIVE, TERMINAL, Status
from denoise_relay.models import Job

REMEDY = "This needs the database: mend that first."
#: Supervisors look for jobs every second: a job that waits longer finds all of them busy, or
#: none at all.
WAITING_TOO_LONG = timedelta(seconds=60)
RECENTLY = timedelta(hours=1)
ENOUGH_ENDED = 5


def _findings() -> Iterator[Finding]:
    """What the rows of jobs and leases show about workers."""
    alias = router.db_for_write(Job)
    active = Job.objects.using(alias).filter(status__in=sorted(ACTIVE)).order_by()
    free = leases.free(alias).filter(status__in=sorted(ACTIVE)).order_by()
    held = active.exclude(pk__in=free.values("pk"))
    owners = sorted(set(held.values_list("lease_owner", flat=True)))
    running = held.count()
    long_ago = timezone.now() - WAITING_TOO_LONG
    # Released or expired: in both cases a worker should have claimed it long ago.
    waiting = free.filter(
        Q(lease_until=None, created_at__lt=long_ago) | Q(lease_until__lt=long_ago)
    )
    count, oldest = waiting.count(), waiting.aggregate(at=Min("created_at"))["at"]
    if count and not owners:
        yield fail(
            f"{count} jobs wait, the oldest since {oldest:%Y-%m-%d %H:%M:%S} UTC, and nobody "
            "claims them.",
            _start_a_worker(),
        )
    elif count:
        yield warn(
            f"{count} jobs wait, the oldest since {oldest:%Y-%m-%d %H:%M:%S} UTC; "
            f"{len(owners)} processes are busy with {running}.",
            "Start more workers, or raise MAX_ACTIVE_JOBS or MAX_ENGINES.",
        )
    elif owners:
        yield ok(f"{len(owners)} processes run {running} jobs: {', '.join(owners)}.")
    else:
        yield ok("No job runs and none waits (whether a worker is up shows with the first).")
    yield from _failures(alias)


def _start_a_worker() -> str:
    if relay_settings().WORKER == "external":
        return "Start `python manage.py denoise_worker`, and let systemd keep it running."
    return (
        "Start the server: with WORKER = 'embedded' jobs run in the ASGI process "
        "(`relay_application` in asgi.py), not in `runserver` without Daphne nor under WSGI."
    )


def _failures(alias: str) -> Iterator[Finding]:
    ended = (
        Job.objects.using(alias)
        .filter(status__in=sorted(TERMINAL), finished_at__gt=timezone.now() - RECENTLY)
        .exclude(status=Status.CANCELED)
    )
    total, bad = ended.count(), ended.filter(status=Status.ERROR)
    failed = bad.count()
    if total >= ENOUGH_ENDED and failed * 2 > total:
        latest = bad.order_by("-finished_at").values_list("message", flat=True).first()
        yield warn(
            f"{failed} of {total} jobs of the last hour failed, the latest with: {latest}",
            "The admin shows the reason for staff at each job.",
        )


work = blocking(_findings, REMEDY)
