"""Signals for the site: sent once per ended job, after its terminal event is committed.

Receivers get `job` (a fresh `Job`) and run in a thread of the process that ended the job.
A process that dies between commit and signal sends none: for what must not be missed,
look at the table.
"""

from __future__ import annotations

from uuid import UUID

from django.dispatch import Signal

from denoise_relay import db, log
from denoise_relay.models import Job

job_done = Signal()
job_failed = Signal()


async def send_ended(signal: Signal, job_id: UUID) -> None:
    """Send from the worker; a receiver that raises is logged and changes nothing."""
    await db.call(send_now, signal, job_id)


def send_now(signal: Signal, job_id: UUID) -> None:
    """Send from a thread that may use the ORM."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        return
    for receiver, answer in signal.send_robust(sender=Job, job=job):
        if isinstance(answer, Exception):
            log.logger.error(
                "A receiver of %s failed: %r",
                "job_done" if signal is job_done else "job_failed",
                receiver,
                exc_info=answer,
                extra=log.fields("receiver_failed", job=str(job_id)),
            )
