"""The local backend: our engine in a limited child process, no key and no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Final, cast

from django.core.checks import CheckMessage, Error
from django.utils.translation import gettext_lazy as _

from denoise_relay import engine
from denoise_relay.backends.base import Backend, Preset, Result, Run
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed

NEUTRAL = "This recording could not be processed."
#: The engine's presets in words. The names are the engine's.
BEST: Final = Preset(name="best", label=_("Best"), description=_("Removes the most noise."))
FAST: Final = Preset(
    name="fast", label=_("Fast"), description=_("Takes half the time, and leaves more noise.")
)


class LocalBackend(Backend):
    """Runs one engine for each job, no more at a time than cores, which a job that is alone has for
    itself. A restarted job begins anew; what viewers see does not fall back."""

    name = "local"
    keeps_bad_results = False

    @property
    def capacity(self) -> int:
        return min(self._engines, self.settings.MAX_ACTIVE_JOBS)

    @property
    def _engines(self) -> int:
        return self.settings.MAX_ENGINES or os.cpu_count() or 1

    @cached_property
    def _cores(self) -> engine.Cores:
        """What all engines of this process take together, never more than there are."""
        return engine.Cores(min(self._engines, os.cpu_count() or 1))

    @classmethod
    def presets(cls, settings: RelaySettings) -> Sequence[Preset]:
        return (BEST, FAST) if engine.available("fast") else (BEST,)

    async def run(self, run: Run) -> Result:
        from denoise_relay.runtime import metrics  # system checks do without prometheus-client

        job = run.assignment
        await run.accepted(str(job.job))
        target = job.workspace / f"denoised{engine.OUTPUT_SUFFIX}"
        try:
            with metrics.ENGINE_SECONDS.time():
                await engine.denoise(
                    job.source,
                    target,
                    # The runner passes names from `presets` only.
                    preset=cast(engine.Preset, job.preset or BEST.name),
                    cores=self._cores,
                    on_progress=run.report,
                    on_segment=run.preview if self.settings.PREVIEW else None,
                    timeout_seconds=self.settings.JOB_DEADLINE_SECONDS,
                )
        except engine.MediaRejected as error:
            raise JobFailed(str(error), detail=f"rejected: {error.code}") from error
        except engine.EngineUnavailable as error:
            raise JobFailed(NEUTRAL, detail=str(error)) from error
        except engine.EngineCrashed as error:
            raise JobFailed(str(error) or NEUTRAL, detail=error.detail) from error
        return Result(file=target)

    @classmethod
    def check(cls, settings: object) -> Sequence[CheckMessage]:
        if engine.available():
            return []
        return [
            Error(
                "The local backend's engine is not installed.",
                hint='pip install "denoise-relay[local]"',
                id="denoise_relay.E201",
            )
        ]
