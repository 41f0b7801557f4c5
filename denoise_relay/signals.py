"""Signals for the site: sent once per ended job, after its terminal event is committed.

Receivers get `job` (a fresh `Job`) and run in a thread of the process that ended the job;
a slow one holds up nobody but itself. A process that dies between commit and signal sends
none: for what must not be missed, look at the table.
"""

from __future__ import annotations

from uuid import UUID

from channels.db import database_sync_to_async
from django.dispatch import Signal

from denoise_relay.models import Job
from denoise_relay.runtime import database, logs

job_done = Signal()
job_failed = Signal()


async def send_ended(signal: Signal, job_id: UUID) -> None:
    """Send from the worker; a receiver that raises is logged and changes nothing."""
    job = await database.call_with_retry(Job.objects.filter(pk=job_id).first)
    if job is None:
        return
    try:
        # Not in the event path's few threads: receivers send mail and the like.
        await database_sync_to_async(send_now, thread_sensitive=False)(signal, job)
    except Exception:  # noqa: BLE001 - the job has ended, whatever becomes of its signal
        logs.logger.exception(
            "A signal could not be sent", extra=logs.fields("signal_failed", job=str(job_id))
        )


def send_now(signal: Signal, job: Job) -> None:
    """Send from a thread that may use the ORM."""
    for receiver, answer in signal.send_robust(sender=Job, job=job):
        if isinstance(answer, Exception):
            logs.logger.error(
                "A receiver of %s failed: %r",
                "job_done" if signal is job_done else "job_failed",
                receiver,
                exc_info=answer,
                extra=logs.fields("receiver_failed", job=str(job.pk)),
            )
