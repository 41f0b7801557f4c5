"""Cuts a passage out of a recording, to the sample."""

from __future__ import annotations

import os
from typing import Final

import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import decode
from denoise_relay.engine.child.encode import FlacWriter, flac_rate
from denoise_relay.engine.child.resample import Resampler
from denoise_relay.engine.errors import MediaRejected

_BYTES_PER_SAMPLE: Final = 3
_HEADER_BYTES: Final = 1024 * 1024


def largest_cut_bytes(seconds: float, *, rate: int, channels: int) -> int:
    """No cut of this length is larger: uncompressed samples, and room for the header."""
    return int((seconds + 1) * rate * channels * _BYTES_PER_SAMPLE * 1.1) + _HEADER_BYTES


def cut_file(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, start: int, end: int
) -> float:
    """Write the samples from `start` to `end`, or to the end of the source, to `target`, which must
    be new; return their length in seconds.

    The result is FLAC with the source's rate (the nearest that FLAC has) and channels (a downmix to
    stereo if there are more than 2). A track that changes either ends there. Raises
    `MediaRejected` if there are no samples.
    """
    with open(source, "rb") as before, open(target, "xb") as after:
        with open_container(Source(before)) as container:
            blocks = decode(container, audio_stream(container))
            first = next(blocks, None)
            if first is None:
                raise MediaRejected("empty")
            channels, rate = len(first.samples), first.rate
            resampler = Resampler(channels=channels, rate_in=rate, rate_out=flac_rate(rate))
            writer = FlacWriter(after, channels=channels, rate=flac_rate(rate))
            position, block = 0, first
            while position < end and block.rate == rate and len(block.samples) == channels:
                part = block.samples[:, max(start - position, 0) : end - position]
                position += block.samples.shape[1]
                if part.shape[1]:
                    # 24 bits: a 16-bit source stays what it is, and takes no more room.
                    writer.write(resampler.push(np.ascontiguousarray(part)), fine=True)
                following = next(blocks, None)
                if following is None:
                    break
                block = following
        writer.write(resampler.finish(), fine=True)
        writer.finish()
        after.flush()
        os.fsync(after.fileno())
    return writer.written / flac_rate(rate)
