"""Inserts jobs into the queue, each once, also where the database's answer is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connections, router, transaction
from django.utils import translation

from denoise_relay.events import Event, Fact
from denoise_relay.jobs import limits, queue_positions, turns, waveforms
from denoise_relay.jobs.limits import Origin
from denoise_relay.journal import read
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.models import Job
from denoise_relay.pubsub import postgres, publisher
from denoise_relay.runtime.database import LOST, write_transaction
from denoise_relay.waveform import Peaks

#: Seconds before each further try, after a connection to the database was lost. Few: a person
#: waits for the answer.
RETRIES: Final = (0.1, 1.0)
_NONE: Final[Mapping[str, Peaks]] = MappingProxyType({})


def enqueue(job: Job, origin: Origin | None = None, *, drawn: Mapping[str, Peaks] = _NONE) -> Job:
    """Insert the job with its first event; publish the event once it is committed.

    `drawn` are the waveforms of its recordings, as far as they are known (`jobs.waveforms`). With
    `origin`, the limits for requests from outside apply: raises `UploadDeferred`.

    A commit whose answer was lost is found again: the insertion is repeated with the same primary
    key, waits for the first one if that is still under way, and fails if it was committed. (A
    look would not do: the server may commit after it.) Raises the database's error;
    `certainly_absent` tells whether there may be a row all the same.
    """
    alias = router.db_for_write(Job)
    delays = iter(RETRIES)
    repeated = False
    while True:
        try:
            return _insert(job, origin, drawn)
        except LOST:
            # Within the caller's transaction nothing can be repeated: the whole is lost. And
            # SQLite has no answer that could be lost: it says that it is locked.
            if connections[alias].in_atomic_block or connections[alias].vendor == "sqlite":
                raise
            if (delay := next(delays, None)) is None:
                raise
            repeated = True
            time.sleep(delay)
        except IntegrityError:
            if not repeated or certainly_absent(job):
                raise
            return _found(job)


def certainly_absent(job: Job, error: Exception | None = None) -> bool:
    """Whether no row names the job's files, so that they may be deleted.

    `error` is what `enqueue` raised. False where that cannot be known: files that nobody needs are
    found by `retention.prune_orphans`, a recording that was deleted is lost.
    """
    alias = router.db_for_write(Job)
    if isinstance(error, LOST) and connections[alias].vendor != "sqlite":
        return False  # the server may still commit
    try:
        return not Job.objects.using(alias).filter(pk=job.pk, original=job.original.name).exists()
    except DatabaseError:
        return False


def journal_language() -> translation.override:
    """The site's language, in which the worker writes events too. All viewers read the same
    events, so the language of the person who pressed a button does not count."""
    return translation.override(settings.LANGUAGE_CODE)


def _insert(job: Job, origin: Origin | None, drawn: Mapping[str, Peaks]) -> Job:
    with write_transaction() as alias, contextlib.ExitStack() as stack:
        if origin is not None:
            limits.admit(alias, job, origin)
        turns.assign(alias, job)
        stack.enter_context(journal_language())
        job.ahead = queue_positions.ahead_of(alias, job.turn)
        job.save(using=alias, force_insert=True)
        waveforms.insert(alias, job, drawn)
        fact = Fact(message=queue_positions.message(job.ahead))
        (outcome,) = append_entries([Entry(job=job.pk, epoch=0, fact=fact)])
        events = [outcome.event] if outcome.event else []
        postgres.notify_work(alias)
        transaction.on_commit(lambda: publisher.publish_soon(events), using=alias, robust=True)
    # Not earlier: a transaction that is repeated begins with the job as it was.
    _mirror(job, events)
    return job


def _found(job: Job) -> Job:
    """The job that an earlier try committed without an answer: nobody has been told of it."""
    event = read.latest(job.pk)
    events = [event] if event else []
    publisher.publish_soon(events)
    _mirror(job, events)
    return job


def _mirror(job: Job, events: list[Event]) -> None:
    for event in events:
        job.seq, job.message = event.seq, event.message
