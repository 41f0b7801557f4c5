"""Compares a result with its recording: is the speech still there, is the length right."""

from __future__ import annotations

import os
from typing import Final

import av.error
import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import decode
from denoise_relay.engine.child.resample import Resampler
from denoise_relay.engine.child.speech import RATE, SpeechDetector
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Verification

#: Samples of a hop at `speech.RATE`, and from which probability on it is speech.
_HOP: Final = 512
_SPEECH: Final = 0.5
#: dB of what has no power at all.
_NOTHING_DB: Final = -200.0

_Hops = npt.NDArray[np.float32]  # shape (channels, hops): kept for the whole track, 4 bytes each


class _Track:
    """The power of each hop of a file, and in the recording, how probably it is speech."""

    def __init__(self, path: str | os.PathLike[str], *, find_speech: bool) -> None:
        powers: list[_Hops] = []
        speech: list[_Hops] = []
        seconds = 0.0
        with open(path, "rb") as file, open_container(Source(file)) as container:
            self.tracks = len(container.streams.audio)
            stream = audio_stream(container)
            self.channels = stream.codec_context.channels
            hops: _HopPowers | None = None
            for block in decode(container, stream):
                channels = len(block.samples)
                if hops is None:
                    hops = _HopPowers(channels, block.rate)
                    detector = SpeechDetector(channels=channels, rate=block.rate)
                if channels != hops.channels or block.rate != hops.rate:
                    continue  # rare, and a comparison needs no more than most of the track
                seconds += block.samples.shape[1] / block.rate
                powers.append(hops.push(block.samples))
                if find_speech:
                    speech.append(detector.push(block.samples))
            if hops is None:
                raise MediaRejected("empty")
            powers.append(hops.finish())
            if find_speech:
                speech.append(detector.finish())
        self.seconds = seconds
        self.power = np.concatenate(powers, axis=1)
        self.speech = np.concatenate(speech, axis=1) if speech else self.power[:, :0]


class _HopPowers:
    """Mean squares of hops of 32 ms."""

    def __init__(self, channels: int, rate: int) -> None:
        self.channels, self.rate = channels, rate
        self._resampler = Resampler(channels=channels, rate_in=rate, rate_out=RATE)
        self._waiting = np.zeros((channels, 0), np.float32)

    def push(self, samples: npt.NDArray[np.float32]) -> _Hops:
        return self._powers(self._resampler.push(samples))

    def finish(self) -> _Hops:
        return self._powers(self._resampler.finish())

    def _powers(self, samples: npt.NDArray[np.float32]) -> _Hops:
        samples = np.concatenate([self._waiting, samples], axis=1)
        whole = samples.shape[1] - samples.shape[1] % _HOP
        self._waiting = samples[:, whole:]
        hops = samples[:, :whole].reshape(len(samples), -1, _HOP)
        # Without the constant offset, which a model removes.
        return np.asarray(hops.var(axis=2), np.float32)


def verify_files(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> Verification:
    """Decode both once. Raises `MediaRejected` if the recording itself cannot be read."""
    recording = _Track(before, find_speech=True)
    try:
        result = _Track(after, find_speech=False)
    except (MediaRejected, av.error.FFmpegError):
        result = None
    speech = recording.speech >= _SPEECH
    level_before, level_after = _levels(recording, result, speech)
    return Verification(
        playable=result is not None,
        before_seconds=recording.seconds,
        after_seconds=result.seconds if result else 0.0,
        speech_seconds=float(speech.any(axis=0).sum()) * _HOP / RATE,
        speech_before_db=level_before,
        speech_after_db=level_after,
        tracks=recording.tracks,
        channels_before=recording.channels,
        channels_after=result.channels if result else 0,
    )


def _levels(
    recording: _Track, result: _Track | None, speech: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """dBFS of the speech before and after, in the channel that lost most of it."""
    if result is None:
        return _NOTHING_DB, _NOTHING_DB
    pairs = []
    for channel, spoken in enumerate(speech):
        after = result.power[min(channel, len(result.power) - 1)]
        count = min(len(spoken), recording.power.shape[1], len(after))
        where = spoken[:count]
        if where.any():
            levels = [
                _db(float(power[:count][where].mean()))
                for power in (recording.power[channel], after)
            ]
            pairs.append((levels[0], levels[1]))
    return max(pairs, key=lambda pair: pair[0] - pair[1], default=(_NOTHING_DB, _NOTHING_DB))


def _db(power: float) -> float:
    return max(float(10 * np.log10(max(power, 1e-30))), _NOTHING_DB)
