"""Looks at every result before its job is called done."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from uuid import UUID

from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.backends.base import Backend
from denoise_relay.conf import RelaySettings
from denoise_relay.engine import Verification
from denoise_relay.exceptions import JobFailed
from denoise_relay.runtime import logs, metrics
from denoise_relay.worker.verdict import Finding, judge

#: How long one comparison may take; an hour of stereo takes about one minute.
TIMEOUT_SECONDS = 600.0


class ResultVerifier:
    """Compares results with their recordings in child processes, no more at a time than cores.

    One per process, used from one event loop.
    """

    def __init__(self, settings: RelaySettings) -> None:
        self._enabled = settings.VERIFY_RESULTS and engine.available()
        self._slots = asyncio.Semaphore(max(1, os.cpu_count() or 1))

    @property
    def enabled(self) -> bool:
        """False where the setting says so, or where the engine is not installed."""
        return self._enabled

    async def warning_about(
        self, job: UUID, backend: Backend, before: Path, after: Path, *, within: float
    ) -> str:
        """What people should know about a result; "" if nothing.

        Raises `JobFailed` if the result is bad and the backend can make it again at no cost. A
        comparison that fails, or takes more than `within` seconds, is logged, and the result counts
        as good: it may have been paid for.
        """
        if not self._enabled:
            return ""
        try:
            async with asyncio.timeout(min(within, TIMEOUT_SECONDS)), self._slots:
                facts = await engine.verify(before, after, timeout_seconds=TIMEOUT_SECONDS)
        except (
            engine.MediaRejected,  # the recording: of a kind that only the backend reads
            engine.EngineUnavailable,
            engine.EngineCrashed,
            TimeoutError,
            OSError,  # no result: storing it fails with the right words
        ) as error:
            detail = getattr(error, "detail", repr(error))
            _log("result_not_verified", "The result of job %s was not verified: %s", job, detail)
            return ""
        findings = list(judge(facts))
        _count(job, facts, findings)
        bad = [finding for finding in findings if finding.bad]
        if bad and not backend.keeps_bad_results:
            codes = ", ".join(finding.code for finding in bad)
            raise JobFailed(
                _("This recording could not be processed: the result was not good enough."),
                detail=f"{codes}: {_as_text(facts)}",
            )
        return " ".join(finding.text for finding in findings)


def _count(job: UUID, facts: Verification, findings: list[Finding]) -> None:
    for finding in findings:
        metrics.RESULT_WARNINGS.labels(finding.code).inc()
        if finding.bad:
            text = "The result of job %s is doubtful: %s"
            _log("result_doubtful", text, job, f"{finding.code}: {_as_text(facts)}")


def _as_text(facts: Verification) -> str:
    return ", ".join(
        f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in dataclasses.asdict(facts).items()
    )


def _log(action: str, text: str, job: UUID, why: str) -> None:
    logs.logger.warning(text, job, why, extra=logs.fields(action, job=str(job)))
