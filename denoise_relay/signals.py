"""Signals for the site: one for each job that ends, after its terminal event is committed.

Receivers get `job` (read anew) and run in a thread of the process that ended the job; a slow
receiver delays no event. A process that dies between commit and signal sends none: query the
table where no end may be missed.
"""

from __future__ import annotations

from uuid import UUID

from channels.db import database_sync_to_async
from django.dispatch import Signal

from denoise_relay.models import Job
from denoise_relay.runtime import database, logs

#: The job ended well.
job_done = Signal()
#: The job ended with an error or was canceled.
job_failed = Signal()


async def send_ended(signal: Signal, job_id: UUID) -> None:
    """Send from the worker. A receiver's exception is logged and changes nothing."""
    job = await database.call_with_retry(Job.objects.filter(pk=job_id).first)
    if job is None:
        return
    try:
        # Not in the few threads of the event path: receivers may be slow (mail, HTTP).
        await database_sync_to_async(send_now, thread_sensitive=False)(signal, job)
    except Exception:  # noqa: BLE001 - the job has ended all the same
        logs.logger.exception(
            "A signal could not be sent", extra=logs.fields("signal_failed", job=str(job_id))
        )


def send_now(signal: Signal, job: Job) -> None:
    """Send from a thread that may use the ORM. A receiver's exception is logged."""
    for receiver, answer in signal.send_robust(sender=Job, job=job):
        if isinstance(answer, Exception):
            logs.logger.error(
                "A receiver of %s failed: %r",
                "job_done" if signal is job_done else "job_failed",
                receiver,
                exc_info=answer,
                extra=logs.fields("receiver_failed", job=str(job.pk)),
            )
