"""Measures a file: is it media, is it whole, is there sound in it, how long is its audio."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from typing import BinaryIO, Final

import av.error

from denoise_relay.engine.child.container import (
    Source,
    audio_stream,
    has_moving_pictures,
    open_container,
)
from denoise_relay.engine.child.measured_track import MeasuredTrack
from denoise_relay.engine.child.signatures import HEAD_BYTES, what_it_is
from denoise_relay.engine.child.truncation import has_index, is_truncated, wave_seconds
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Probe

#: A damaged file of which less can be read is rejected.
_LEAST_SECONDS: Final = 1.0
_MP4_BOXES: Final = (b"ftyp", b"mdat", b"wide", b"free", b"skip")
_NO_INDEX: Final = (
    "This recording was broken off before its index was written, which MP4 files have at their "
    "end. Without it nobody can tell where its sound is. Look for another copy on the device, or "
    "let a tool that repairs MP4 files rebuild it."
)


def probe_file(
    path: str | os.PathLike[str],
    *,
    max_duration_seconds: float | None = None,
    rescue: bool = False,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Probe:
    """Read the whole file once. Raises `MediaRejected`, or `OSError` if it cannot be read.

    With `rescue`, a file of which a second or more can be read is `damaged`, and not rejected as
    `truncated`. `on_progress` gets the share of the file read so far, 0 to 1.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        source = Source(file)
        if not source.size_bytes:
            raise MediaRejected("empty")
        try:
            probe, silent = measure(source, on_progress, rescue=rescue)
        except MediaRejected as exc:
            if found := what_it_is(head):
                raise MediaRejected(exc.code, f"This is {found} and not a recording.") from exc
            # FFmpeg cannot tell half an MP4 from something that never was one; the headers can.
            if is_truncated(file):
                text = _NO_INDEX if head[4:8] in _MP4_BOXES and not has_index(file) else ""
                raise MediaRejected("truncated", text) from exc
            raise
        if is_truncated(file):
            probe = dataclasses.replace(probe, damaged=True)
        if probe.damaged and (not rescue or probe.duration_seconds < _LEAST_SECONDS):
            raise MediaRejected("truncated")
        probe = dataclasses.replace(probe, announced_seconds=_announced(probe, file))
        if silent:
            raise MediaRejected("silent")
    if max_duration_seconds is not None and probe.duration_seconds > max_duration_seconds:
        raise MediaRejected("too_long", _too_long(probe.duration_seconds, max_duration_seconds))
    return probe


def measure(
    source: Source,
    on_progress: Callable[[float], None] = lambda share: None,
    *,
    rescue: bool = False,
) -> tuple[Probe, bool]:
    """The facts, and whether the whole track is silent. Raises `MediaRejected`.

    `announced_seconds` is what the header says, of any file.
    """
    with open_container(source) as container:
        stream = audio_stream(container)
        track = MeasuredTrack(stream)
        announced = float((stream.duration or 0) * (stream.time_base or 0))
        damaged = False
        try:
            for packet in container.demux(stream):
                track.add(packet)
                on_progress(source.farthest / source.size_bytes)
        except (av.error.InvalidDataError, av.error.EOFError) as exc:
            if not rescue:
                raise MediaRejected("truncated") from exc
            damaged = True
        block = track.first_block
        if track.is_cut():
            damaged = True
            if not rescue:
                raise MediaRejected("truncated")
        probe = Probe(
            duration_seconds=track.seconds(),
            sample_rate=block.rate,
            channels=track.channels,
            codec=stream.codec.name.removesuffix("float"),
            container=container.format.name.split(",")[0],
            has_video=has_moving_pictures(container),
            damaged=damaged,
            announced_seconds=announced or (container.duration or 0) / av.time_base,
        )
        return probe, track.is_silent


def _announced(probe: Probe, file: BinaryIO) -> float:
    """What the header of a damaged file says; 0 where that is no more than there is."""
    if not probe.damaged:
        return 0.0
    # FFmpeg takes the length of a WAV from what is there.
    said = max(probe.announced_seconds, wave_seconds(file))
    return said if said >= probe.duration_seconds + _LEAST_SECONDS else 0.0


def _too_long(seconds: float, limit: float) -> str:
    # Rounded up, so that 15.01 minutes do not read as "15.0 minutes".
    minutes = math.ceil(seconds / 6) / 10
    return (
        f"Duration exceeds the maximum limit of {limit / 60:.4g} minutes. "
        f"Duration: {minutes:.1f} minutes. Send a shorter recording."
    )
