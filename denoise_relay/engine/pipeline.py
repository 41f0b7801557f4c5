"""Decode, denoise, encode: one pass over the file, in memory that does not grow with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from denoise_relay.engine.chain import Chain
from denoise_relay.engine.decode import decode
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.facts import Probe
from denoise_relay.engine.source import Source, audio_stream, open_container

#: A track may decode to this much more than its packets announce (factor, seconds).
#: One that goes on is made to exhaust us.
_OVERRUN: Final = (1.1, 10.0)
_HEADER_BYTES: Final = 1024 * 1024
_BYTES_PER_SAMPLE: Final = 2


def denoise_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    probe: Probe,
    on_progress: Callable[[float], None],
    on_writing: Callable[[], None],
) -> None:
    """Write the denoised `source`, which was measured as `probe`, to `target`, which must be new.

    The result is 16-bit FLAC with the input's sample rate (the nearest that FLAC has, if FLAC has
    not that one) and channel count (stereo if there were more than 2), and exactly as many samples
    as the decoder delivers, each at its place. `on_progress` gets the share done, 0 to 1.
    Raises `MediaRejected`.
    """
    with open(source, "rb") as before, open(target, "xb") as after:
        with open_container(Source(before)) as container:
            blocks = decode(container, audio_stream(container))
            first = next(blocks, None)
            if first is None:
                raise MediaRejected("empty", "The audio track is empty. Send a file with sound.")
            with Chain(after, channels=len(first.samples), rate=first.rate) as chain:
                chain.push(first)
                for block in blocks:
                    if chain.seconds > _longest_seconds(probe):
                        raise MediaRejected("unsupported", "The file plays longer than it says.")
                    chain.push(block)
                    on_progress(min(float(chain.seconds) / (probe.duration_seconds or 1.0), 1.0))
                on_writing()
                chain.finish()
        after.flush()
        os.fsync(after.fileno())


def largest_result_bytes(probe: Probe) -> int:
    """No result of `denoise_file` is larger: uncompressed samples, and room for the header."""
    frames = _longest_seconds(probe) * probe.sample_rate
    return int(frames * min(probe.channels, 2) * _BYTES_PER_SAMPLE * 1.1) + _HEADER_BYTES


def _longest_seconds(probe: Probe) -> float:
    factor, seconds = _OVERRUN
    return probe.duration_seconds * factor + seconds
