"""Gives a result the strength and the loudness that people chose for it, whoever made it."""

from __future__ import annotations

import asyncio
import os
from typing import Final

from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.jobs import options
from denoise_relay.models import Job
from denoise_relay.runtime import logs

#: How long this may take; an hour of stereo takes a few minutes.
TIMEOUT_SECONDS: Final = 1800.0


class OptionApplier:
    """Applies options in child processes, no more at a time than cores.

    One per process, used from one event loop.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(max(1, os.cpu_count() or 1))

    async def applied(
        self, run: Run, job: Job, result: Result, *, within: float
    ) -> tuple[Result, str]:
        """The result as its job wants it, and what people should know about it.

        The result may have been paid for: where the options cannot be applied, or not `within` so
        many seconds, it stays as it is, with a warning.
        """
        chosen = options.of(job)
        if result.file is None or not chosen.chosen:
            return result, ""
        run.report(98.0, _("Applying what you chose"))
        target = run.assignment.workspace / f"as-chosen{engine.OUTPUT_SUFFIX}"
        seconds = min(within, TIMEOUT_SECONDS)
        try:
            async with asyncio.timeout(seconds), self._slots:
                await engine.render(
                    run.assignment.source,
                    result.file,
                    target,
                    max_attenuation_db=chosen.max_attenuation_db,
                    loudness_lufs=chosen.loudness_lufs,
                    timeout_seconds=seconds,
                )
        except (
            engine.MediaRejected,  # one of the two is of a kind that only the backend reads
            engine.EngineUnavailable,
            engine.EngineCrashed,
            TimeoutError,
            OSError,  # no result: storing it fails with the right words
        ) as error:
            _log(job, getattr(error, "detail", "") or repr(error))
            return result, _("The strength or loudness that you chose could not be applied.")
        return Result(file=target), ""


def _log(job: Job, why: str) -> None:
    logs.logger.warning(
        "The options of job %s were not applied: %s",
        job.pk,
        why,
        extra=logs.fields("options_not_applied", job=str(job.pk), error=why),
    )
