"""From what a backend returns to a result that is kept: options, verification, storing."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from denoise_relay.backends.base import Backend, Result, Run
from denoise_relay.conf import RelaySettings
from denoise_relay.journal.leases import Lease
from denoise_relay.models import Job
from denoise_relay.presentation import clock
from denoise_relay.worker.analysis import Analysis, Analyst
from denoise_relay.worker.deadline import Deadline
from denoise_relay.worker.options import OptionApplier
from denoise_relay.worker.results import ResultStore
from denoise_relay.worker.verification import ResultVerifier


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What the work on a job has come to."""

    #: The column of the job that says where the result is.
    where: dict[str, str]
    #: For people; "" if there is nothing to say.
    warning: str
    #: Goes on.
    analysis: Analysis


class Finisher:
    """One per process, used from one event loop."""

    def __init__(self, settings: RelaySettings) -> None:
        self._options = OptionApplier()
        self._verifier, self._analyst = ResultVerifier(settings), Analyst(settings)

    async def stop(self) -> None:
        """End what goes on after jobs have ended. May be repeated."""
        await self._analyst.stop()

    async def finish(
        self,
        run: Run,
        lease: Lease,
        job: Job,
        result: Result,
        *,
        recording: Path,
        backend: Backend,
        deadline: Deadline,
        results: ResultStore,
        workspace: contextlib.ExitStack,
    ) -> Finished:
        """Do with a result what its job wants, look at it beside the `recording` as it was
        uploaded, and store it.

        `workspace` is closed when nothing is done with the job's files any more. Raises
        `JobFailed`; the caller cancels this at the job's deadline.
        """
        # Half of the time is for storing a result that was paid for.
        result, doubt = await self._options.applied(
            run, job, result, within=deadline.seconds_left / 2
        )
        folder = run.assignment.workspace
        async with self._analyst.analysing(job, lease, recording, result.file, folder) as analysis:
            found = await self._verified(
                run, job, backend, recording, result, deadline.seconds_left / 2
            )
            where = await results.store(job, result)
            analysis.keep(workspace.pop_all())
        warning = " ".join(text for text in (_missing(job), doubt, found) if text)
        return Finished(where=where, warning=warning, analysis=analysis)

    async def _verified(
        self,
        run: Run,
        job: Job,
        backend: Backend,
        recording: Path,
        result: Result,
        within: float,
    ) -> str:
        if result.file is None or not self._verifier.enabled:
            return ""
        run.report(99.0, _("Checking the result"))
        return await self._verifier.warning_about(
            job.pk, backend, recording, result.file, within=within
        )


def _missing(job: Job) -> str:
    """What people should know about a damaged recording; "" of a whole one."""
    if not job.damaged:
        return ""
    if not job.announced_seconds:
        text = _("The recording is damaged: only %(stop)s of it could be read.")
    else:
        text = _("The recording stops at %(stop)s, though its header announces %(announced)s.")
    return text % {
        "stop": clock(job.duration_seconds),
        "announced": clock(job.announced_seconds),
    }
