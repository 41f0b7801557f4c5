"""Signals for the site: one for each job that ends, after its terminal event is committed.

Receivers get `job` (read anew). They run in two threads of their own in the worker that ended the
job, or in the process in which a person canceled it, so a slow receiver delays no event and no
other job. Connect them where every process does, in `AppConfig.ready`.

Each signal comes **at least once**: the end and a mark are committed together, and the mark goes
when all receivers have returned. When the process dies in between, a supervisor sends the signal
again within `LEASE_SECONDS` (a minute for a cancel). So receivers must bear to be called twice
for the same job. An exception of a receiver is logged; it is not called again for that.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import close_old_connections
from django.dispatch import Signal

from denoise_relay.lifecycle import Status
from denoise_relay.models import Job, current_jobs
from denoise_relay.runtime import database, logs

#: The job ended well.
job_done = Signal()
#: The job ended with an error or was canceled.
job_failed = Signal()

#: Jobs of which receivers are told at a time, in one process.
THREADS = 2
# Not the loop's default executor, and not the threads of the event path: receivers may be slow
# (mail, HTTP), and everything else would wait for them.
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="denoise-signals")


async def send_ended(job_id: UUID) -> None:
    """Send the signal of an ended job from a worker; return when the receivers have returned.

    Waits while the database is away. If cancelled, receivers that run go on.
    """
    job = await database.call_with_retry(_job, job_id)
    if job is not None:
        await asyncio.get_running_loop().run_in_executor(_threads, _send, job)


def send_now(job: Job) -> None:
    """Send the signal of an ended job from a thread that may use the ORM."""
    done = job.status == Status.DONE
    for receiver, answer in (job_done if done else job_failed).send_robust(sender=Job, job=job):
        if isinstance(answer, Exception):
            logs.logger.error(
                "A receiver of %s failed: %r",
                "job_done" if done else "job_failed",
                receiver,
                exc_info=answer,
                extra=logs.fields("receiver_failed", job=str(job.pk)),
            )


def _job(job_id: UUID) -> Job | None:
    # From the database that is written to: a replica may not have the end yet.
    return current_jobs().filter(pk=job_id).first()


def _send(job: Job) -> None:
    # As around a request: a receiver's connection may have died since the last job.
    close_old_connections()
    try:
        send_now(job)
    finally:
        close_old_connections()
