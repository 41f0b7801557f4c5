"""Turns what a backend does not take into FLAC: the same sound, sample by sample."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, Samples, decode, joined
from denoise_relay.engine.child.encode import FlacWriter, flac_rate
from denoise_relay.engine.child.resample import LAYOUTS, Resampler, with_channels
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Probe

#: Of FLAC. A recording with more is mixed down to stereo.
_MOST_CHANNELS: Final = max(LAYOUTS)
#: Lossy codecs decode to floats, of which loud passages keep 16 bits and quiet ones 24, as in
#: results: noise below a voice would be most of the file. Sources with whole numbers keep theirs.
_QUIET_POWER: Final = 10 ** (-36 / 10)
#: By these, a codec has whole numbers or the floats of a recorder.
_EXACT: Final = ("pcm_", "flac", "alac", "wavpack", "tta", "tak", "ape", "shorten", "wmalossless")
#: A track may decode to this much more than its packets announce (factor, seconds).
_OVERRUN: Final = (1.1, 10.0)
_BYTES_PER_SAMPLE: Final = 3
_HEADER_BYTES: Final = 1024 * 1024


def convert_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    probe: Probe,
    on_progress: Callable[[float], None],
) -> float:
    """Write the track of `source`, which was measured as `probe`, to `target`, which must be new;
    return its length in seconds.

    The result is FLAC with the source's rate (the nearest that FLAC has) and up to 8 channels, 24
    bits, where samples of 16 take the room of 16. A change of rate or channels in mid-stream is
    converted to what came first. Of a damaged file it is what can be read. Raises `MediaRejected`.
    """
    longest, duration = _longest_seconds(probe), probe.duration_seconds or 1.0
    exact = probe.codec.startswith(_EXACT)
    with open(source, "rb") as before, open(target, "xb") as after:
        with open_container(Source(before)) as container:
            track = audio_stream(container)
            blocks = joined(
                decode(container, track, most_channels=_MOST_CHANNELS, rescue=probe.damaged)
            )
            first = next(blocks, None)
            if first is None:
                raise MediaRejected("empty", "The audio track is empty. Send a file with sound.")
            rate = flac_rate(first.rate)
            writer = FlacWriter(after, channels=len(first.samples), rate=rate)
            for samples in _at_one_rate(first, blocks, rate):
                power = float(np.mean(samples**2)) if samples.size else 0.0
                writer.write(samples, fine=exact or power < _QUIET_POWER)
                seconds = writer.written / rate
                if seconds > longest:
                    raise MediaRejected("unsupported", "The file plays longer than it says.")
                on_progress(min(seconds / duration, 1.0))
            writer.finish()
        after.flush()
        os.fsync(after.fileno())
    return writer.written / rate


def largest_conversion_bytes(probe: Probe) -> int:
    """No result of `convert_file` is larger: uncompressed samples, and room for the header."""
    channels = probe.channels if probe.channels <= _MOST_CHANNELS else 2
    frames = _longest_seconds(probe) * flac_rate(probe.sample_rate)
    return int(frames * channels * _BYTES_PER_SAMPLE * 1.1) + _HEADER_BYTES


def _longest_seconds(probe: Probe) -> float:
    factor, seconds = _OVERRUN
    return probe.duration_seconds * factor + seconds


def _at_one_rate(first: Block, others: Iterator[Block], rate: int) -> Iterator[Samples]:
    """All blocks at this rate, with the channels of the first."""
    channels, rate_in = len(first.samples), first.rate
    resampler = Resampler(channels=channels, rate_in=rate_in, rate_out=rate)
    yield resampler.push(first.samples)
    for block in others:
        if block.rate != rate_in:
            yield resampler.finish()
            rate_in = block.rate
            resampler = Resampler(channels=channels, rate_in=rate_in, rate_out=rate)
        yield resampler.push(with_channels(block.samples, channels))
    yield resampler.finish()
