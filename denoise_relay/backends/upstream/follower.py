"""Follows a job that the upstream has accepted to its end, over any number of connections.

How a connection ends says nothing about the job. Only a terminal event does, or the
upstream's history when the stream keeps failing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from django.utils.translation import gettext as _

from denoise_relay.backends.upstream.context import RunContext
from denoise_relay.backends.upstream.errors import (
    CALL_FAULTS,
    ReadTimeout,
    StreamEnded,
    StreamStalled,
    is_final,
    seconds_to_wait,
)
from denoise_relay.backends.upstream.messages import Done, Failed, HistoryRecord, Processing, text
from denoise_relay.backends.upstream.stream import Listener
from denoise_relay.backends.upstream.stream_clock import StreamClock
from denoise_relay.exceptions import ServiceFailed, ServiceForgot
from denoise_relay.runtime import metrics

#: Failures of the stream in a row after which the history is asked.
FAILURES_BEFORE_HISTORY = 3


class Follower:
    """Follows one job."""

    def __init__(
        self,
        context: RunContext,
        upstream_id: str,
        skipped: Counter[str],
        *,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_progress` is called with each new event."""
        self._context = context
        self._id = upstream_id
        self._backoff = context.backoff()
        self._failures = 0
        self._on_progress = on_progress
        self._absent_since: float | None = None
        self._listener = Listener(
            on_processing=self._show,
            on_progress=self._progressed,
            skipped=skipped,
            clock=StreamClock(silence=context.policy.silence, stalled=context.policy.stalled),
        )

    async def follow(self) -> Done:
        """Return the `done` event; an `error` event is raised as `JobFailed`."""
        while True:
            try:
                async with self._context.client.progress(self._id) as response:
                    return _outcome(await self._listener.listen(response))
            except (*CALL_FAULTS, StreamEnded, StreamStalled) as exc:
                fault = exc
            self._context.log("stream_lost", fault)
            metrics.RECONNECTS.inc()
            self._failures += 1
            delay = self._delay(fault)
            asking = self._failures % FAILURES_BEFORE_HISTORY == 0 or _needs_history(fault)
            if asking and (done := await self._settle(fault)) is not None:
                return done
            await asyncio.sleep(delay)

    async def _settle(self, fault: Exception) -> Done | None:
        """Ask the history how the job stands; None when it goes on, or cannot be known."""
        result, _wait = await self._context.find(lambda record: record.id == self._id)
        if result is None:
            self._context.show(_("Waiting for the audio service"))
            return None
        if result.found:
            self._absent_since = None
            return settled(result.found[0])
        if not result.complete:
            return None
        now = asyncio.get_running_loop().time()
        if self._absent_since is None:
            # Once: it may be a replica that lags behind.
            self._absent_since = now
        elif now - self._absent_since >= self._context.policy.absence:
            raise ServiceForgot(
                _("The audio service has lost this recording."),
                detail=f"{self._id} is not in the upstream's history; last fault: {fault}",
            )
        return None

    def _delay(self, fault: Exception) -> float:
        wait = seconds_to_wait(fault)
        if isinstance(fault, ReadTimeout):
            # The silence was long enough, and the job may have ended meanwhile.
            return 0.0
        # The stream's own `retry:`, within reason.
        asked = (self._listener.retry or 0) / 1000
        return self._backoff.next_delay(
            at_least=max(wait, min(asked, self._context.policy.longest_backoff))
        )

    def _show(self, event: Processing) -> None:
        self._context.run.report(event.percent, text(event.message))

    def _progressed(self) -> None:
        self._failures = 0
        self._backoff.reset()
        self._on_progress()


def settled(record: HistoryRecord) -> Done | None:
    """A record as a terminal event; None while it is pending."""
    if record.status == "failed":
        raise ServiceFailed(text(record.error), detail="failed, says the upstream's history")
    return Done(url=record.audio_url) if record.status == "success" else None


def _outcome(event: Done | Failed) -> Done:
    if isinstance(event, Failed):
        raise ServiceFailed(text(event.message), detail="an error event of the upstream")
    return event


def _needs_history(fault: Exception) -> bool:
    """Whether reconnecting is pointless before the history has been asked."""
    return isinstance(fault, StreamStalled) or is_final(fault)
