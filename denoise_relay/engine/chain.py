"""Blocks in, FLAC out: resample, denoise, resample back, write; and keep count of every sample."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from denoise_relay.engine.decode import Block, Samples
from denoise_relay.engine.encode import FlacWriter, flac_rate
from denoise_relay.engine.model import MODEL_RATE, Denoiser
from denoise_relay.engine.resample import Resampler


class Chain:
    """The way of one track through the model. A context manager that frees the model.

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
