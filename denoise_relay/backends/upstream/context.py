"""What the parts of one run share: the job, the client, the retry policy, the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from denoise_relay.backends.base import Run
from denoise_relay.backends.upstream.client import UpstreamClient
from denoise_relay.backends.upstream.errors import CALL_FAULTS, seconds_to_wait
from denoise_relay.backends.upstream.history import Search, search
from denoise_relay.backends.upstream.messages import HistoryRecord
from denoise_relay.conf import RelaySettings
from denoise_relay.runtime import logs
from denoise_relay.runtime.backoff import Backoff

logger = logging.getLogger("denoise_relay.upstream")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How long to wait, in seconds; all of it follows from two settings."""

    #: The bound of the first back-off, and the bound that none exceeds.
    backoff: float
    longest_backoff: float
    #: A stream without a byte for so long is dead.
    silence: float
    #: A stream without events for so long has stalled, whatever bytes arrive.
    stalled: float
    #: How long a job must be missing from the history before it counts as lost.
    absence: float
    #: How long an upload of unknown outcome is looked for.
    grace: float

    @classmethod
    def of(cls, settings: RelaySettings) -> RetryPolicy:
        silence = settings.UPSTREAM_SILENCE_SECONDS
        return cls(
            backoff=min(0.5, silence / 4),
            longest_backoff=min(30.0, silence / 2),
            silence=silence,
            stalled=silence * 5,
            absence=silence,
            grace=settings.SUBMISSION_GRACE_SECONDS,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """One run of one job."""

    run: Run
    client: UpstreamClient
    policy: RetryPolicy
    #: No record of this job is older.
    since: datetime

    def backoff(self) -> Backoff:
        return Backoff(base=self.policy.backoff, cap=self.policy.longest_backoff)

    def show(self, message: str) -> None:
        """Show viewers a message that is no progress."""
        self.run.report(0.0, message)

    def log(self, action: str, fault: object = "", **facts: Any) -> None:
        """Log a fault; the job goes on."""
        job = str(self.run.assignment.job)
        logger.info(
            "%s: job %s: %s", action, job, fault, extra=logs.fields(action, job=job, **facts)
        )

    async def find(self, matches: Callable[[HistoryRecord], bool]) -> tuple[Search | None, float]:
        """Search the history. None when it could not be asked, which is not "not found";
        then the other value is how many seconds the upstream asks to wait."""
        try:
            return await search(self.client, matches, since=self.since, enough=1), 0.0
        except CALL_FAULTS as exc:
            wait = seconds_to_wait(exc)
            self.log("history_failed", exc)
            return None, wait
