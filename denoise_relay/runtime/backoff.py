"""When to retry: exponential backoff with full jitter, and `Retry-After`. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: The longest wait that a server's `Retry-After` can demand.
MAX_RETRY_AFTER_SECONDS = 600.0


class Backoff:
    """How long to wait before each try in a series of failures.

    Full jitter: a delay is drawn from 0 to the ceiling, which starts at `base` and doubles up to
    `cap` (seconds). So clients that were cut off at the same moment do not all come back at the
    same moment.
    """

    def __init__(
        self,
        *,
        base: float = 0.5,
        cap: float = 30.0,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.failures = 0
        self._base = base
        self._cap = cap
        self._draw = draw

    @property
    def ceiling(self) -> float:
        """The longest that the next delay can be."""
        # The exponent is bounded, because 2.0**1024 overflows, and failures may go on for days.
        return min(self._cap, self._base * 2.0 ** min(self.failures, 63))

    def next_delay(self, at_least: float = 0.0) -> float:
        """Count a failure and return the seconds to wait, at least what the server asked for."""
        delay = self._draw(0.0, self.ceiling)
        self.failures += 1
        # Jitter is added to the server's number, which is the same for all its clients.
        return at_least + delay if at_least > delay else delay

    def reset(self) -> None:
        """Forget the failures: there was progress."""
        self.failures = 0


def retry_after(value: str | None, *, now: datetime | None = None) -> float:
    """Read a `Retry-After` header (RFC 9110 10.2.3): seconds, or an HTTP-date.

    Returns seconds from `now`, at most `MAX_RETRY_AFTER_SECONDS`; 0.0 when the header is
    absent, in the past, negative or garbage, so that the caller's own backoff decides.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Ten digits are three centuries. int() would raise for thousands of digits.
        return MAX_RETRY_AFTER_SECONDS if len(text) > 10 else _bounded(float(text))
    if len(text) > 64:
        return 0.0
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" means UTC at an unknown place, and is parsed as a naive datetime.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _bounded((moment - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
