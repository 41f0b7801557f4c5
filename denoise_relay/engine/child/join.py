"""Joins the denoised parts of a recording: in step with it, equally loud, without a seam.

Each part is compared with its own place in the recording, so that a service that delays its result
does it no harm, and with the end of the part before, so that one that changes the level does none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, Samples, decode
from denoise_relay.engine.child.encode import FlacWriter, flac_rate
from denoise_relay.engine.child.lag import lag_between
from denoise_relay.engine.child.resample import Resampler

#: How far a result may be out of step, and over how much of it that is measured.
_MOST_LAG_SECONDS: Final = 0.25
_COMPARED_SECONDS: Final = 20.0
#: How much a part's level may be corrected against the part before.
_MOST_GAIN: Final = 2.0
#: RMS below which an overlap says nothing about the level.
_SILENCE: Final = 1e-4
_FADE_SECONDS: Final = 0.08
#: A result is written in pieces of this length, so that memory does not grow with it.
_PIECE_SECONDS: Final = 10.0


class _Reader:
    """A file's samples as a stream, at one rate and with one number of channels."""

    def __init__(self, path: str | os.PathLike[str], *, rate: int, channels: int) -> None:
        self._channels = channels
        self._stack = contextlib.ExitStack()
        file = self._stack.enter_context(open(path, "rb"))  # noqa: SIM115
        container = self._stack.enter_context(open_container(Source(file)))
        self._pieces = self._resampled(decode(container, audio_stream(container)), rate)
        self._held = np.zeros((channels, 0), np.float32)

    def read(self, count: int) -> Samples:
        """The next `count` samples; after the end of the file, silence."""
        pieces, have = [self._held], self._held.shape[1]
        while have < count and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            have += piece.shape[1]
        joined = np.concatenate(pieces, axis=1)
        self._held = joined[:, count:]
        short = max(count - joined.shape[1], 0)
        return np.pad(joined[:, :count], ((0, 0), (0, short)))

    def put_back(self, samples: Samples) -> None:
        self._held = np.concatenate([samples, self._held], axis=1)

    def skip(self, count: int) -> None:
        piece = max(count // 100, 1)
        while count > 0:
            count -= self.read(min(piece, count)).shape[1]

    def close(self) -> None:
        self._stack.close()

    def _resampled(self, blocks: Iterator[Block], rate: int) -> Iterator[Samples]:
        resampler: Resampler | None = None
        for block in blocks:
            samples, rate_in = block.samples, block.rate
            if len(samples) != self._channels:
                mono = samples.mean(axis=0, keepdims=True)
                samples = np.repeat(mono, self._channels, axis=0).astype(np.float32)
            resampler = resampler or Resampler(
                channels=self._channels, rate_in=rate_in, rate_out=rate
            )
            yield resampler.push(samples)
        if resampler is not None:
            yield resampler.finish()


def join_files(
    source: str | os.PathLike[str],
    results: Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    rate: int,
    channels: int,
    total: int,
    cuts: Sequence[int],
    overlap: int,
) -> None:
    """Write the joined result to `target`, which must be new: FLAC, `total` samples.

    `cuts` are the samples at which the source was cut, and `overlap` how many samples the parts go
    on beyond them. All numbers are at `rate`, which FLAC must have.
    """
    starts, ends = [0, *cuts], [*cuts, total]
    half = round(_FADE_SECONDS / 2 * rate)
    recording = _Reader(source, rate=rate, channels=channels)
    position = 0  # of the recording
    gain = 1.0
    tail: Samples | None = None
    with contextlib.ExitStack() as stack, open(target, "xb") as file:
        stack.callback(recording.close)
        writer = FlacWriter(file, channels=channels, rate=flac_rate(rate))
        for index, path in enumerate(results):
            first = max(starts[index] - overlap, 0)
            result = _Reader(path, rate=rate, channels=channels)
            try:
                recording.skip(first - position)
                # Not beyond where the next part begins: the recording is read once.
                own = (total if index == len(cuts) else ends[index] - overlap) - first
                length = min(round(_COMPARED_SECONDS * rate), own)
                expected = recording.read(length)
                position = first + length
                _align(expected, result, length, rate)
                if tail is not None:
                    head = result.read(tail.shape[1])
                    gain = _gain(tail, head, gain)
                    writer.write(_crossfade(tail, head * np.float32(gain), half), fine=True)
                    first += tail.shape[1]
                last = index == len(results) - 1
                until = total if last else ends[index] - overlap
                _copy(result, writer, until - first, gain, rate)
                tail = None if last else result.read(2 * overlap) * np.float32(gain)
            finally:
                result.close()
        writer.finish()
        file.flush()
        os.fsync(file.fileno())


def _copy(reader: _Reader, writer: FlacWriter, count: int, gain: float, rate: int) -> None:
    while count > 0:
        piece = reader.read(min(count, round(_PIECE_SECONDS * rate)))
        writer.write(piece * np.float32(gain), fine=True)
        count -= piece.shape[1]


def _align(expected: Samples, result: _Reader, length: int, rate: int) -> None:
    """Move the result so that its samples are where the recording has them."""
    most = round(_MOST_LAG_SECONDS * rate)
    heard = result.read(length + most)
    lag = lag_between(expected.mean(axis=0), heard.mean(axis=0), most)
    if lag >= 0:
        result.put_back(heard[:, lag:])
    else:
        result.put_back(np.pad(heard, ((0, 0), (-lag, 0))))


def _gain(before: Samples, after: Samples, usual: float) -> float:
    """The factor that makes `after` as loud as `before`; `usual` if one of them is silent."""
    loud, now = (float(np.sqrt(np.mean(samples**2))) for samples in (before, after))
    if min(loud, now) < _SILENCE:
        return usual
    return min(max(loud / now, 1 / _MOST_GAIN), _MOST_GAIN)


def _crossfade(before: Samples, after: Samples, half: int) -> Samples:
    """From one to the other in the middle of an overlap. They are nearly the same, so that their
    amplitudes add up, and not their powers."""
    count = before.shape[1]
    share = np.zeros(count, np.float32)
    middle = count // 2
    half = min(half, middle)
    share[middle - half : middle + half] = np.linspace(0, 1, 2 * half, dtype=np.float32)
    share[middle + half :] = 1
    return before + share * (after - before)
