"""Shows the clean recording while an upstream relay makes it: an extension of the contract
(docs/between-relays.md).

A favour: the first thing that goes wrong ends it, and the job goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from denoise_relay import engine
from denoise_relay.backends.upstream.context import RunContext
from denoise_relay.backends.upstream.errors import Refused
from denoise_relay.engine.protocol import MAX_SEGMENTS
from denoise_relay.exceptions import ProtocolError
from denoise_relay.runtime.background import spawn
from denoise_relay.waveform import PIXEL_BYTES

EXTENSION: Final = "preview"
#: Between two questions, and the longest pause while there is nothing new.
POLL_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 8.0
#: Segments that are fetched after one question.
SEGMENTS_AT_A_TIME: Final = 8
#: Of one answer. Four seconds at 24 kHz take 192,000 bytes, uncompressed.
WAVEFORM_BYTES: Final = 4 * 1024 * 1024
AUDIO_BYTES: Final = 256 * 1024
_FLAC_MAGIC: Final = b"fLaC"
#: More than any recording has, so that a number cannot be huge.
_MAX_RATE: Final = 1_000_000


class Growing(msgspec.Struct, frozen=True):
    """What an answer says about the waveform that grows; its other fields are not used."""

    sample_rate: int
    samples_per_pixel: int
    data: list[int]
    first: int
    complete: bool
    segments: int = 0
    segment_seconds: float = 0.0

    @property
    def pixels(self) -> int:
        """Of each segment but the last."""
        return round(self.segment_seconds * self.sample_rate / self.samples_per_pixel)


@contextlib.asynccontextmanager
async def previewing(context: RunContext, upstream_id: str) -> AsyncIterator[None]:
    """Show what there is of a job until the end of the block."""
    if not context.run.shows_previews or EXTENSION not in context.client.extensions:
        yield
        return
    work = _show(context, upstream_id)
    task = spawn(work, f"denoise-upstream-preview-{context.run.assignment.job.hex[:8]}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _show(context: RunContext, upstream_id: str) -> None:
    try:
        await _poll(context, upstream_id)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
        context.log("upstream_preview_stopped", error)


async def _poll(context: RunContext, upstream_id: str) -> None:
    """Ask once a second, less often while there is nothing new. Raises what ends it."""
    number, pixels, pause = 0, 0, POLL_SECONDS
    while number < MAX_SEGMENTS:
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        found = await _growing(context, upstream_id, first=number * pixels)
        if found is None:
            continue
        if found.complete:
            return
        pixels = found.pixels
        last = min(found.segments, number + SEGMENTS_AT_A_TIME)
        for each in range(number, last):
            audio = await context.client.extension(
                f"/denoise/{upstream_id}/preview/{each}", AUDIO_BYTES, EXTENSION
            )
            context.run.preview(segment_of(found, each, audio))
            number, pause = each + 1, POLL_SECONDS


async def _growing(context: RunContext, upstream_id: str, *, first: int) -> Growing | None:
    """The waveform from a pixel on; None while the upstream has none."""
    path = f"/denoise/{upstream_id}/waveform/denoised"
    try:
        body = await context.client.extension(path, WAVEFORM_BYTES, EXTENSION, **{"from": first})
    except Refused as refused:
        if refused.status == 404:
            return None
        raise
    return decode(body)


def decode(body: bytes) -> Growing:
    """Raises `ProtocolError` for an answer that makes no sense."""
    try:
        found = msgspec.json.decode(body, type=Growing)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"no waveform: {type(error).__name__}") from None
    sensible = (
        0 < found.sample_rate <= _MAX_RATE
        and found.samples_per_pixel > 0
        and 0 <= found.segment_seconds <= engine.SEGMENT_SECONDS
        and 0 <= found.segments <= MAX_SEGMENTS
        and found.first >= 0
        and all(-128 <= value <= 127 for value in found.data)
        and (not found.segments or found.pixels > 0)
    )
    if not sensible:
        raise ProtocolError("a waveform with impossible numbers")
    return found


def segment_of(found: Growing, number: int, audio: bytes) -> engine.Segment:
    """A segment from the waveform that has its pixels, and its sound.

    Raises `ProtocolError` if the two cannot be of one segment.
    """
    start = (number * found.pixels - found.first) * PIXEL_BYTES
    values: list[Any] = found.data[max(start, 0) : start + found.pixels * PIXEL_BYTES]
    count = len(values) // PIXEL_BYTES
    if start < 0 or not count or len(values) % PIXEL_BYTES or not audio.startswith(_FLAC_MAGIC):
        raise ProtocolError(f"segment {number} makes no sense")
    return engine.Segment(
        number=number,
        duration_seconds=count * found.samples_per_pixel / found.sample_rate,
        sample_rate=found.sample_rate,
        samples_per_pixel=found.samples_per_pixel,
        peaks=bytes(value & 0xFF for value in values),
        audio=audio,
    )
