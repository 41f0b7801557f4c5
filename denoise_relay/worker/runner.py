"""The runner: carries one leased job from wherever it stands to its end."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from denoise_relay import db, log, media, signals
from denoise_relay.backends.base import Assignment, Backend, Result
from denoise_relay.conf import RelaySettings
from denoise_relay.events import Fact, Stage
from denoise_relay.exceptions import JobFailed, LeaseLost
from denoise_relay.leases import Lease
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.worker.recorder import Recorder


class Runner:
    """Runs one job and is what the backend talks to (`backends.base.Run`)."""

    def __init__(
        self, lease: Lease, *, backend: Backend, recorder: Recorder, settings: RelaySettings
    ) -> None:
        self._lease = lease
        self._backend = backend
        self._recorder = recorder
        self._settings = settings
        self._assignment: Assignment | None = None
        self._attempt = 0

    # What the backend sees

    @property
    def assignment(self) -> Assignment:
        if self._assignment is None:
            raise RuntimeError("the backend was called before the runner had an assignment")
        return self._assignment

    def report(self, pct: float, message: str) -> None:
        self._recorder.report(self._lease, Fact(pct=pct, message=message))

    async def submitting(self) -> int:
        attempt = self._attempt + 1
        await self._record(
            Fact(message=_("Uploading")),
            status=Status.SUBMITTING,
            attempt=attempt,
            submitted_at=timezone.now(),
        )
        self._attempt = attempt
        return attempt

    async def accepted(self, upstream_id: str) -> None:
        await self._record(None, status=Status.PROCESSING, upstream_id=upstream_id)

    # What the supervisor calls

    async def run(self) -> None:
        """Return when the job has ended or is no longer ours; cancellation hands it back."""
        job_id = self._lease.job
        try:
            job = await db.call(Job.objects.get, pk=job_id)
            with tempfile.TemporaryDirectory(prefix="denoise-") as workspace:
                async with asyncio.timeout(self._seconds_left(job)):
                    await self._work(job, Path(workspace))
        except LeaseLost:
            log.logger.info("Lost job %s", job_id, extra=log.fields("lease_lost", job=str(job_id)))
        except Job.DoesNotExist:
            log.logger.info("Job %s is gone", job_id, extra=log.fields("job_gone", job=str(job_id)))
        except JobFailed as error:
            await self._fail(job_id, str(error), error.detail)
        except TimeoutError:
            await self._fail(job_id, _("This took too long and was stopped."), "deadline")
        except Exception as error:  # noqa: BLE001 - see below
            # Whatever a backend did not foresee must still end the job (invariant 5).
            log.logger.exception(
                "Job %s failed", job_id, extra=log.fields("job_crashed", job=str(job_id))
            )
            await self._fail(job_id, _("Something went wrong on our side."), repr(error))
        finally:
            self._recorder.forget(self._lease)

    async def _work(self, job: Job, workspace: Path) -> None:
        self._attempt = job.attempt
        source = await db.call(media.local_copy, job, workspace)
        self._assignment = Assignment(
            job=job.pk,
            source=source,
            extension=job.extension,
            size_bytes=job.size_bytes,
            attempt=job.attempt,
            submitted_at=job.submitted_at,
            upstream_id=job.upstream_id,
            workspace=workspace,
        )
        result = await self._backend.run(self)
        await self._finish(job, result)

    async def _finish(self, job: Job, result: Result) -> None:
        changes: dict[str, Any] = {"status": Status.DONE, "finished_at": timezone.now()}
        if result.file is not None:
            try:
                name = await db.call(media.store_result, job, result.file)
            except OSError as error:
                raise JobFailed(_("The result could not be stored."), detail=repr(error)) from error
            changes["result"] = name
        else:
            changes["result_url"] = result.url
        try:
            await self._record(
                Fact(stage=Stage.DONE, pct=100.0, message=_("Done"), url=result.url), **changes
            )
        except LeaseLost:
            if result.file is not None:
                await db.call(media.discard, changes["result"])
            raise
        await signals.send_ended(signals.job_done, job.pk)

    async def _fail(self, job_id: UUID, message: str, detail: str) -> None:
        try:
            await self._record(
                Fact(stage=Stage.ERROR, message=message),
                status=Status.ERROR,
                finished_at=timezone.now(),
                error_detail=detail,
            )
        except LeaseLost:
            return
        log.logger.warning(
            "Job %s ended with an error: %s",
            job_id,
            message,
            extra=log.fields("job_failed", job=str(job_id), detail=detail),
        )
        await signals.send_ended(signals.job_failed, job_id)

    async def _record(self, fact: Fact | None, **changes: Any) -> None:
        await self._recorder.record(self._lease, fact, **changes)

    def _seconds_left(self, job: Job) -> float:
        """Of the job's deadline, counted from its first runner; at least a moment to end it."""
        begun = job.started_at or timezone.now()
        elapsed = (timezone.now() - begun).total_seconds()
        return max(self._settings.JOB_DEADLINE_SECONDS - elapsed, 0.01)
