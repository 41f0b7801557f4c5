"""Measures a file: is it media, is it whole, how long is its audio. Decodes next to nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import av.error

from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.facts import Probe
from denoise_relay.engine.source import Source, audio_stream, has_moving_pictures, open_container
from denoise_relay.engine.track import Track
from denoise_relay.engine.truncation import is_truncated


def probe_file(
    path: str | os.PathLike[str],
    *,
    max_duration_seconds: float | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Probe:
    """Read the whole file once. Raises `MediaRejected`, or `OSError` if it cannot be read.

    `on_progress` gets the share of the file read so far, 0 to 1.
    """
    with open(path, "rb") as file:
        source = Source(file)
        if not source.size_bytes:
            raise MediaRejected("empty")
        try:
            probe = _measure(source, on_progress)
        except MediaRejected as exc:
            # FFmpeg cannot tell half an MP4 from something that never was one; the headers can.
            if is_truncated(file):
                raise MediaRejected("truncated") from exc
            raise
        if is_truncated(file):
            raise MediaRejected("truncated")
    if max_duration_seconds is not None and probe.duration_seconds > max_duration_seconds:
        raise MediaRejected("too_long", _too_long(probe.duration_seconds, max_duration_seconds))
    return probe


def _measure(source: Source, on_progress: Callable[[float], None]) -> Probe:
    with open_container(source) as container:
        stream = audio_stream(container)
        track = Track(stream)
        try:
            for packet in container.demux(stream):
                track.add(packet)
                on_progress(source.farthest / source.size_bytes)
        except (av.error.InvalidDataError, av.error.EOFError) as exc:
            raise MediaRejected("truncated") from exc
        block = track.first_block
        if track.is_cut():
            raise MediaRejected("truncated")
        return Probe(
            duration_seconds=track.seconds(),
            sample_rate=block.rate,
            channels=track.channels,
            codec=stream.codec.name.removesuffix("float"),
            container=container.format.name.split(",")[0],
            has_video=has_moving_pictures(container),
        )


def _too_long(seconds: float, limit: float) -> str:
    # Rounded up, so that 15.01 minutes do not read as "15.0 minutes".
    minutes = math.ceil(seconds / 6) / 10
    return (
        f"Duration exceeds the maximum limit of {limit / 60:.4g} minutes. "
        f"Duration: {minutes:.1f} minutes. Send a shorter recording."
    )
