"""Stores the result of a run, for as long as it takes: it may have been paid for."""

from __future__ import annotations

import asyncio

from django.utils.translation import gettext as _

from denoise_relay.backends.base import Result, Run
from denoise_relay.exceptions import JobFailed
from denoise_relay.media import storage
from denoise_relay.models import Job
from denoise_relay.runtime import logs
from denoise_relay.runtime.backoff import Backoff


class ResultStore:
    """Stores one result."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: The last failure of the storage; None while there was none.
        self.fault: Exception | None = None

    async def store(self, job: Job, result: Result) -> dict[str, str]:
        """Return the column of the job that says where the result is.

        A storage that fails is tried again until the caller cancels this, at the job's deadline.
        Raises `JobFailed` if the backend left no file.
        """
        if result.file is None:
            if not result.url:
                raise RuntimeError("the backend returned neither a file nor a URL")
            return {"result_url": result.url}
        backoff = Backoff()
        while True:
            try:
                return {"result": await asyncio.to_thread(storage.store_result, job, result.file)}
            except Exception as error:
                if not await asyncio.to_thread(result.file.exists):
                    raise self.failure(error) from error
                self.fault = error
                self._log(job, error)
            self._run.report(99.0, _("The result cannot be stored yet. Trying again."))
            await asyncio.sleep(backoff.next_delay())

    def failure(self, fault: Exception) -> JobFailed:
        """What ends the job where storing has failed for good."""
        return JobFailed(_("The result could not be stored."), detail=repr(fault))

    def _log(self, job: Job, error: Exception) -> None:
        logs.logger.warning(
            "The storage did not take the result of job %s: %s",
            job.pk,
            type(error).__name__,
            extra=logs.fields("store_failed", job=str(job.pk), error=repr(error)),
        )
