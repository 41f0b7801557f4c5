"""What the parts of one run share: the job, the client, the pace, the way to log a fault."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from denoise_relay import log
from denoise_relay.backends.base import Run
from denoise_relay.backends.exchange import Broken, NotSent
from denoise_relay.backends.upstream_client import Refused, UpstreamClient
from denoise_relay.backends.upstream_events import Record
from denoise_relay.backends.upstream_history import Search, search
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed, ProtocolError
from denoise_relay.retry import Backoff

logger = logging.getLogger("denoise_relay.upstream")

#: What a request can die of, short of an answer that ends the job.
CALL_FAULTS = (NotSent, Broken, ProtocolError, Refused)

#: Refusals that mean "later": timeout, too early, too many.
LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
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
    def of(cls, settings: RelaySettings) -> Pace:
        silence = settings.UPSTREAM_SILENCE_SECONDS
        return cls(
            backoff=min(0.5, silence / 4),
            longest_backoff=min(30.0, silence / 2),
            quiet=silence * 5,
            absence=silence,
            grace=settings.SUBMISSION_GRACE_SECONDS,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """One run of one job."""

    run: Run
    client: UpstreamClient
    pace: Pace
    #: No record of this job is older.
    since: datetime

    def backoff(self) -> Backoff:
        return Backoff(base=self.pace.backoff, cap=self.pace.longest_backoff)

    def say(self, message: str) -> None:
        """Tell viewers something that is no progress."""
        self.run.report(0.0, message)

    def note(self, action: str, fault: object = "", **facts: Any) -> None:
        """Log what happened; the job goes on."""
        job = str(self.run.assignment.job)
        logger.info(
            "%s: job %s: %s", action, job, fault, extra=log.fields(action, job=job, **facts)
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


def seconds_to_wait(fault: Exception) -> float:
    """What the upstream asks for in `Retry-After`; raises `JobFailed` for a refused key."""
    if not isinstance(fault, Refused):
        return 0.0
    if fault.status == 401:
        raise_if_final(fault)
    return fault.wait


def raise_if_final(refused: Refused) -> None:
    """Raise `JobFailed` for an answer that will not get better."""
    if refused.status == 401:
        raise JobFailed(
            _("The audio service refused this site's access. Please tell the site's staff."),
            detail=f"{refused}; is API_KEY right for UPSTREAM_URL?",
        )
    if 300 <= refused.status < 400:
        raise JobFailed(
            _("The audio service cannot be reached. Please tell the site's staff."),
            detail=f"{refused}; is UPSTREAM_URL right?",
        )
    if is_final(refused):
        raise JobFailed(
            refused.message or _("The audio service did not accept this recording."),
            detail=str(refused),
        )


def is_final(fault: Exception) -> bool:
    """Whether the same request will be refused again: 4xx, but not the ones about time."""
    return isinstance(fault, Refused) and 400 <= fault.status < 500 and fault.status not in LATER
