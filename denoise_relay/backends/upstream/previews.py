"""Shows a job that another relay works on, while it does: the extension `preview`.

Asked for only where the upstream's last answer said that it understands this. Nothing of the job
depends on it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from denoise_relay.backends.upstream.client import PREVIEW
from denoise_relay.backends.upstream.context import RunContext
from denoise_relay.backends.upstream.errors import NotSent, OutcomeUnknown, Refused
from denoise_relay.backends.upstream.segments import (
    MAX_AUDIO_BYTES,
    MAX_WAVEFORM_BYTES,
    Detail,
    Growth,
    segment,
)
from denoise_relay.conf import RelaySettings
from denoise_relay.engine import SEGMENT_SECONDS
from denoise_relay.exceptions import LeaseLost, ProtocolError
from denoise_relay.runtime.background import spawn
from denoise_relay.waveform import PIXEL_BYTES

#: From one question to the next, and up to which it grows while nothing new is there.
PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 5.0
#: Segments between two questions, and how many are fetched at once.
MAX_NEW: Final = 16
AT_ONCE: Final = 4
#: Questions in a row without an answer after which no more is asked.
MAX_FAILURES: Final = 3
#: A segment may be lost, and what runs may not have been asked about yet.
_NOT_THERE: Final = 404


class Previews:
    """The segments of one job, from the first event that says how far it is until `stop`.

    Any trouble ends it, with one line in the log.
    """

    def __init__(self, context: RunContext, upstream_id: str, settings: RelaySettings) -> None:
        self._context, self._id = context, upstream_id
        self._wanted = settings.PREVIEW and context.run.assignment.previews
        #: No recording is longer. One more for a result that is a little longer than that.
        self._max_segments = math.ceil(settings.MAX_DURATION_SECONDS / SEGMENT_SECONDS) + 1
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: The number of the next segment.
        self._next = 0
        self._detail: Detail | None = None

    def progressed(self) -> None:
        """The upstream has told something new about the job. Never blocks."""
        if not self._wanted or not self._understood:
            return
        self._changed.set()
        if self._task is None:
            name = f"denoise-preview-of-{self._context.run.assignment.job.hex[:8]}"
            self._task = spawn(self._run(name), name)

    async def stop(self) -> None:
        """Ask no more. May be repeated."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _understood(self) -> bool:
        return PREVIEW in self._context.client.extensions

    async def _run(self, name: str) -> None:
        try:
            await self._follow(name)
        except LeaseLost:
            pass  # whoever follows the job hears of it, too
        except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
            self._context.log("preview_stopped", error)

    async def _follow(self, name: str) -> None:
        pause, failures, more = PAUSE_SECONDS, 0, True
        while more:
            await self._changed.wait()
            self._changed.clear()
            before = self._next
            try:
                more = await self._ask(name)
                failures = 0
            except (NotSent, OutcomeUnknown, Refused):
                failures += 1
                if failures >= MAX_FAILURES:
                    raise
                self._changed.set()
            news = self._next > before
            pause = PAUSE_SECONDS if news else min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _ask(self, name: str) -> bool:
        """Show what is new, at most `MAX_NEW` segments; return whether more may come."""
        start = self._next * (self._detail.pixels if self._detail else 0)
        body = await self._get("waveform/denoised", MAX_WAVEFORM_BYTES, **{"from": start})
        if body is None:
            return True
        growth = Growth.decode(body, self._next)
        peaks, detail = growth.peaks[:MAX_NEW], growth.detail
        if not peaks:
            return not growth.complete
        if (self._detail or detail) != detail:
            raise ProtocolError(f"a waveform changes from {self._detail} to {detail}")
        if self._next + len(growth.peaks) > self._max_segments:
            raise ProtocolError(f"a job has more than {self._max_segments} segments")
        self._detail = detail
        for first in range(0, len(peaks), AT_ONCE):
            await self._show(name, detail, peaks[first : first + AT_ONCE])
        if len(growth.peaks) > len(peaks):
            self._changed.set()
        # After a shorter one nothing comes.
        return len(peaks[-1]) == detail.pixels * PIXEL_BYTES

    async def _show(self, name: str, detail: Detail, peaks: Sequence[bytes]) -> None:
        """Fetch the sound of the next segments, and show them."""
        sounds = [
            spawn(self._sound(number), f"{name}-{number}")
            for number in range(self._next, self._next + len(peaks))
        ]
        # Waits for all of them, also when this is cancelled.
        found = await asyncio.gather(*sounds, return_exceptions=True)
        for shape, audio in zip(peaks, found, strict=True):
            if isinstance(audio, BaseException):
                raise audio
            if audio is not None:
                self._context.run.preview(segment(self._next, detail, shape, audio))
            self._next += 1

    async def _sound(self, number: int) -> bytes | None:
        return await self._get(f"preview/{number}", MAX_AUDIO_BYTES)

    async def _get(self, path: str, limit: int, **query: int) -> bytes | None:
        """None for what is not there."""
        if not self._understood:
            raise ProtocolError("the upstream understands no previews any more")
        try:
            return await self._context.client.shown(self._id, path, limit, **query)
        except Refused as error:
            if error.status == _NOT_THERE:
                return None
            raise
