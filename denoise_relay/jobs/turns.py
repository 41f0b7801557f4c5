"""The order of the queue: the submitters take turns, so that nobody's thousand jobs hold up others.

Each job gets a turn when it is queued, and jobs are claimed by turn (`journal.leases`), those of
the same turn by age. Somebody's next job has the turn after their last one, but no earlier turn
than the one that is being served. So who has waited for nothing gets no credit for it, and who
has queued a thousand jobs is served once in each round. (This is start-time fair queueing, with
every job of the same weight.) A turn never changes, so a claim stays one indexed query.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connections
from django.db.models import QuerySet

from denoise_relay.models import Job

#: Characters of a submitter that are kept, as many as the column has.
SUBMITTER_LIMIT = 80
#: Of the locks below: "jobs". PostgreSQL shares one space of them in a database.
_LOCKS = 0x6A6F6273


def submitter_of(job: Job) -> str:
    """Who takes turns with others: the owner, else the API key, else the visitor; "" for jobs of
    the site's own code."""
    if job.owner_id is not None:
        return f"user {job.owner_id}"[:SUBMITTER_LIMIT]
    if job.api_key_id is not None:
        return f"key {job.api_key_id}"
    return f"visitor {job.visitor}" if job.visitor else ""


def assign(alias: str, job: Job) -> None:
    """Set the submitter and the turn of a job that is about to be inserted, in its transaction."""
    job.submitter = submitter_of(job)
    serialize(alias, [job.submitter])
    jobs = Job.objects.using(alias)
    # Also the jobs that have ended: else who runs short jobs one after another, and has none left
    # each time, would be the first of every round.
    own = jobs.filter(submitter=job.submitter).exclude(
        started_at=None,
        finished_at__isnull=False,  # canceled before its turn came
    )
    served, last = _highest(jobs.filter(started_at__isnull=False)), _highest(own)
    job.turn = max(served or 0, 0 if last is None else last + 1)


def serialize(alias: str, keys: Iterable[str]) -> None:
    """Make transactions that say the same key wait for each other, until they end. On SQLite all
    transactions that write do."""
    if connections[alias].vendor != "postgresql":
        return
    with connections[alias].cursor() as cursor:
        for key in sorted(filter(None, keys)):  # in one order, so that they cannot deadlock
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, key])


def _highest(jobs: QuerySet[Job]) -> int | None:
    # Not an aggregate: it would read all rows of the partial index.
    return jobs.order_by("-turn").values_list("turn", flat=True).first()
