"""Decode, denoise, encode: one pass over the file, in memory that does not grow with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from typing import BinaryIO, Final, Self

import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, Samples, decode
from denoise_relay.engine.child.encode import FlacWriter, flac_rate
from denoise_relay.engine.child.model import MODEL_RATE, Denoiser
from denoise_relay.engine.child.resample import Resampler
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Probe


class Chain:
    """One track through resampling, the model and the encoder. Frees the model when it is left.

    The first block fixes rate and channel count of the result; a later change of either is
    converted to that. `finish` makes the result exactly as long as what was pushed.
    """

    def __init__(self, file: BinaryIO, *, channels: int, rate: int) -> None:
        self._channels = channels
        self._rate_in = rate
        self._rate_out = flac_rate(rate)
        self._up = Resampler(channels=channels, rate_in=rate, rate_out=MODEL_RATE)
        self._down = Resampler(channels=channels, rate_in=MODEL_RATE, rate_out=self._rate_out)
        self._denoiser = Denoiser(channels)
        self._writer = FlacWriter(file, channels=channels, rate=self._rate_out)
        self.seconds = Fraction(0)

    def push(self, block: Block) -> None:
        if block.rate != self._rate_in:
            self._denoise(self._up.finish())
            self._rate_in = block.rate
            self._up = Resampler(channels=self._channels, rate_in=block.rate, rate_out=MODEL_RATE)
        self.seconds += Fraction(block.samples.shape[1], block.rate)
        self._denoise(self._up.push(_with_channels(block.samples, self._channels)))

    def finish(self) -> None:
        self._denoise(self._up.finish())
        self._write(self._down.push(self._denoiser.finish()))
        self._write(self._down.finish())
        self._write(np.zeros((self._channels, self._missing()), np.float32))
        self._writer.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._denoiser.close()

    def _denoise(self, samples: Samples) -> None:
        self._write(self._down.push(self._denoiser.push(samples)))

    def _write(self, samples: Samples) -> None:
        self._writer.write(samples[:, : self._missing()])

    def _missing(self) -> int:
        return max(round(self.seconds * self._rate_out) - self._writer.written, 0)


def _with_channels(samples: Samples, channels: int) -> Samples:
    """Mono to stereo by doubling, stereo to mono by the mean."""
    if len(samples) == channels:
        return samples
    if channels == 1:
        return np.asarray(samples.mean(axis=0, keepdims=True), np.float32)
    return np.repeat(samples, channels, axis=0)


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
