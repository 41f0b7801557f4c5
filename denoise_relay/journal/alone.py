"""One progress event in one statement, which is its own transaction (PostgreSQL).

Locked, read, updated, inserted and committed in four more round trips it takes twice as long. The
usual case: a process with few jobs commits groups of one.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import connections, router

from denoise_relay import events, models
from denoise_relay.events import Event, Fact, Stage
from denoise_relay.journal.rows import as_time
from denoise_relay.pubsub import postgres

_JOBS: Final = f'"{models.Job._meta.db_table}"'
_EVENTS: Final = f'"{models.Event._meta.db_table}"'
# Fenced as every write: `finished_at` is set when a job has ended, and only then (a constraint).
# The clock is read after the row is locked, so that `at` never falls while `seq` rises.
_APPEND: Final = (
    f"WITH job AS (UPDATE {_JOBS}"  # noqa: S608
    " SET seq = seq + 1, stage = %s, pct = GREATEST(pct, %s), message = %s, warning = %s"
    " WHERE id = %s AND epoch = %s AND finished_at IS NULL"
    " RETURNING id, seq, stage, pct, message, warning)"
    f" INSERT INTO {_EVENTS} (job_id, seq, stage, pct, message, warning, url, at)"
    " SELECT id, seq, stage, pct, message, warning, %s, clock_timestamp() FROM job"
    " RETURNING seq, pct, EXTRACT(EPOCH FROM at)::float8"
)


def usable() -> bool:
    """Whether the database is PostgreSQL, with no transaction of the caller's to be part of, and no
    news to send with the commit, which name the number."""
    connection = connections[router.db_for_write(models.Job)]
    return (
        connection.vendor == "postgresql"
        and not connection.in_atomic_block
        and connection.get_autocommit()
        and not postgres.enabled()
    )


def append_progress(job: UUID, epoch: int, fact: Fact) -> Event | None:
    """Append and commit; None if the entry was fenced or the job had ended. All or nothing."""
    message, warning = events.clean_text(fact.message), events.clean_text(fact.warning)
    pct, stage = events.clean_pct(fact.pct), Stage.PROCESSING
    with connections[router.db_for_write(models.Job)].cursor() as cursor:
        cursor.execute(_APPEND, (stage.value, pct, message, warning, job, epoch, fact.url))
        found = cursor.fetchone()
    if found is None:
        return None
    seq, pct, seconds = found
    return Event(
        job=job,
        seq=seq,
        stage=stage,
        pct=pct,
        message=message,
        at=as_time(seconds),
        url=fact.url,
        warning=warning,
    )
