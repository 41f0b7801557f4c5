"""What the parts of one run share: the job, the client, the pace, the way to log a fault."""

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
from denoise_relay.backends.upstream.messages import Record
from denoise_relay.conf import RelaySettings
from denoise_relay.runtime import logs
from denoise_relay.runtime.backoff import Backoff

logger = logging.getLogger("denoise_relay.upstream")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How patient we are, in seconds. All of it follows from two settings."""

    #: The first ceiling of a back-off, and the last.
    backoff: float
    longest_backoff: float
    #: Without an event, whatever bytes come.
    quiet: float
    #: Between the two absences from the history that end a job.
    absence: float
    #: How long an upload of unknown outcome is looked for.
    grace: float

    @classmethod
    def of(cls, settings: RelaySettings) -> RetryPolicy:
        silence = settings.UPSTREAM_SILENCE_SECONDS
        return cls(
            backoff=min(0.5, silence / 4),
            longest_backoff=min(30.0, silence / 2),
            quiet=silence * 5,
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

    def say(self, message: str) -> None:
        """Tell viewers something that is no progress."""
        self.run.report(0.0, message)

    def note(self, action: str, fault: object = "", **facts: Any) -> None:
        """Log what happened; the job goes on."""
        job = str(self.run.assignment.job)
        logger.info(
            "%s: job %s: %s", action, job, fault, extra=logs.fields(action, job=job, **facts)
        )

    async def find(self, matches: Callable[[Record], bool]) -> tuple[Search | None, float]:
        """Search the history. None when it could not be asked, which is not "not found";
        then the other value is how many seconds the upstream asks to wait."""
        try:
            return await search(self.client, matches, since=self.since, enough=1), 0.0
        except CALL_FAULTS as exc:
            wait = seconds_to_wait(exc)
            self.note("history_failed", exc)
            return None, wait
