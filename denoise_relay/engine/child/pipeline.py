"""Decode, denoise, encode: one pass over the file, in memory that does not grow with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from typing import BinaryIO, Final, Self

import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, Samples, decode, joined
from denoise_relay.engine.child.encode import FlacWriter, flac_rate
from denoise_relay.engine.child.fifo import Fifo
from denoise_relay.engine.child.level import Leveller
from denoise_relay.engine.child.model import MODEL_RATE, load
from denoise_relay.engine.child.resample import Resampler, with_channels
from denoise_relay.engine.child.segments import SegmentWriter
from denoise_relay.engine.child.share import Share
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.presets import Preset
from denoise_relay.engine.protocol import Probe

#: dBFS. A quieter passage gets 24 bits: amplified, the noise of 16 would be heard.
_QUIET_DB: Final = -36.0
#: Hz. Below it a recording is a telephone call. NSNet 2 takes that for noise, and DeepFilterNet 3
#: removes too much of it, so a share of the recording is kept in the result (docs/engines.md).
_WIDE_RATE: Final = 16_000
_TELEPHONE_SHARE: Final = 0.15


class Chain:
    """One track through resampling, levelling, the model and the encoder. Frees the model when it
    is left.

    The first block fixes rate and channel count of the result; a later change of either is
    converted to that. The result is exactly as long as what was pushed.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        channels: int,
        rate: int,
        preset: Preset = "best",
        share: Share | None = None,
        seconds: float = 0.0,
        on_done: Callable[[float], None] = lambda seconds: None,
        on_samples: Callable[[Samples], None] = lambda samples: None,
    ) -> None:
        """`share` is how many cores the model may take, for a recording of about `seconds`.
        `on_done` gets the seconds that are done so far, rising, `on_samples` all that is written,
        at the rate `flac_rate(rate)`."""
        self._channels = channels
        self._rate_in = rate
        self._rate_out = flac_rate(rate)
        self._up = Resampler(channels=channels, rate_in=rate, rate_out=MODEL_RATE)
        self._down = Resampler(channels=channels, rate_in=MODEL_RATE, rate_out=self._rate_out)
        telephone = rate < _WIDE_RATE
        self._kept_share = _TELEPHONE_SHARE if telephone else 0.0
        share = share or Share()
        self._model = load(
            "best" if telephone else preset,
            channels,
            threads=share.most,
            seconds=seconds,
            on_waiting=self._tell,
        )
        share.on_change(self._model.allow)
        self._leveller = Leveller(
            channels=channels,
            rate=MODEL_RATE,
            target_db=self._model.target_db,
            low_db=self._model.low_db,
        )
        #: Each sample that is in the model, where a share of it is kept, and its gain.
        self._levelled = Fifo(channels)
        self._gains = Fifo(channels)
        self._writer = FlacWriter(file, channels=channels, rate=self._rate_out)
        self._fine = False
        self._on_done = on_done
        self._on_samples = on_samples
        self.seconds = Fraction(0)

    def push(self, block: Block) -> None:
        if block.rate != self._rate_in:
            self._denoise(self._up.finish())
            self._rate_in = block.rate
            self._up = Resampler(channels=self._channels, rate_in=block.rate, rate_out=MODEL_RATE)
        self.seconds += Fraction(block.samples.shape[1], block.rate)
        self._denoise(self._up.push(with_channels(block.samples, self._channels)))

    def drain(self) -> None:
        """Denoise what is held until here: some seconds, which the leveller looks ahead."""
        self._denoise(self._up.finish())
        levelled, gains = self._leveller.finish()
        for start in range(0, levelled.shape[1], MODEL_RATE):
            part = slice(start, start + MODEL_RATE)
            self._model_in(levelled[:, part], gains[:, part])
        for cleaned in self._model.rest():
            self._model_out(cleaned)
        self._write(self._down.finish())
        self._write(np.zeros((self._channels, self._missing()), np.float32))

    def finish(self) -> None:
        """Complete the file, after `drain`."""
        self._writer.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._model.close()

    def _denoise(self, samples: Samples) -> None:
        self._model_in(*self._leveller.push(samples))

    def _model_in(self, levelled: Samples, gains: Samples) -> None:
        if self._kept_share:
            self._levelled.push(levelled)
        self._gains.push(gains)
        for cleaned in self._model.stream(levelled):
            self._model_out(cleaned)

    def _model_out(self, cleaned: Samples) -> None:
        gains = self._gains.take(cleaned.shape[1])
        if self._kept_share:
            levelled = self._levelled.take(cleaned.shape[1])
            cleaned = cleaned + self._kept_share * (levelled - cleaned)
        self._fine = bool((gains > 10 ** ((self._model.target_db - _QUIET_DB) / 20)).any())
        self._write(self._down.push(cleaned / gains))

    def _write(self, samples: Samples) -> None:
        samples = samples[:, : self._missing()]
        self._writer.write(samples, fine=self._fine)
        self._on_samples(samples)
        self._tell()

    def _tell(self) -> None:
        self._on_done(self._writer.written / self._rate_out + self._model.seconds_ahead)

    def _missing(self) -> int:
        return max(round(self.seconds * self._rate_out) - self._writer.written, 0)


#: A track may decode to this much more than its packets announce (factor, seconds).
#: One that goes on is made to exhaust us.
_OVERRUN: Final = (1.1, 10.0)
_HEADER_BYTES: Final = 1024 * 1024
_BYTES_PER_SAMPLE: Final = 3


def denoise_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    probe: Probe,
    preset: Preset = "best",
    share: Share | None = None,
    on_progress: Callable[[float], None],
    on_writing: Callable[[], None],
    segments: Callable[[int], SegmentWriter] | None = None,
) -> None:
    """Write the denoised `source`, which was measured as `probe`, to `target`, which must be new.

    The result is FLAC (24 bits, of which loud passages use 16) with the input's sample rate (the
    nearest that FLAC has, if FLAC has not that one) and channel count (stereo if there were more
    than 2), and exactly as many samples as the decoder delivers, each at its place. `share` says
    how many cores may be used: one without it. `on_progress` gets the share done, 0 to 1.
    `segments` makes what is told of the result while it grows, from its rate.
    Raises `MediaRejected`.
    """
    duration = probe.duration_seconds or 1.0
    with open(source, "rb") as before, open(target, "xb") as after:
        with open_container(Source(before)) as container:
            blocks = joined(decode(container, audio_stream(container)))
            first = next(blocks, None)
            if first is None:
                raise MediaRejected("empty", "The audio track is empty. Send a file with sound.")
            told = segments(flac_rate(first.rate)) if segments else None
            with Chain(
                after,
                channels=len(first.samples),
                rate=first.rate,
                preset=preset,
                share=share,
                seconds=probe.duration_seconds,
                on_done=lambda seconds: on_progress(min(seconds / duration, 1.0)),
                on_samples=told.push if told else lambda samples: None,
            ) as chain:
                chain.push(first)
                for block in blocks:
                    if chain.seconds > _longest_seconds(probe):
                        raise MediaRejected("unsupported", "The file plays longer than it says.")
                    chain.push(block)
                chain.drain()
                if told:
                    told.finish()
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
