"""Compares a result with its recording: is the speech still there, is the length right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import av.error
import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Samples, decode
from denoise_relay.engine.child.resample import converted
from denoise_relay.engine.child.speech import RATE, SpeechDetector
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Verification

#: Samples of a hop at `speech.RATE`, and from which probability on it is speech.
_HOP: Final = 512
_SPEECH: Final = 0.5
#: Hops of about a second, and how many of them must be speech.
_STRETCH: Final = 31
_ENOUGH: Final = 10
#: dB. In good results the worst second lost 21 (babble, at -5 dB); where a model had taken the
#: voice for noise, most of them lost 40 and more.
_LOST_DB: Final = 35.0
#: dB of what has no power at all.
_NOTHING_DB: Final = -200.0

_Hops = npt.NDArray[np.float32]  # shape (channels, hops): kept for the whole track, 4 bytes each


class _Track:
    """The power of each hop of a file, and in the recording, how probably it is speech."""

    def __init__(self, path: str | os.PathLike[str], *, find_speech: bool) -> None:
        powers: list[_Hops] = []
        speech: list[_Hops] = []
        count = 0
        with open(path, "rb") as file, open_container(Source(file)) as container:
            self.tracks = len(container.streams.audio)
            stream = audio_stream(container)
            self.channels = stream.codec_context.channels
            waiting: Samples | None = None
            for samples in converted(decode(container, stream), RATE):
                if waiting is None:
                    waiting = samples[:, :0]
                    detector = SpeechDetector(channels=len(samples), rate=RATE)
                count += samples.shape[1]
                power, waiting = _powers(np.concatenate([waiting, samples], axis=1))
                powers.append(power)
                if find_speech:
                    speech.append(detector.push(samples))
            if waiting is None:
                raise MediaRejected("empty")
            if find_speech:
                speech.append(detector.finish())
        self.seconds = count / RATE
        self.power = np.concatenate(powers, axis=1)
        self.speech = np.concatenate(speech, axis=1) if speech else self.power[:, :0]


def _powers(samples: Samples) -> tuple[_Hops, Samples]:
    """Mean squares of whole hops, and the samples that are left."""
    whole = samples.shape[1] - samples.shape[1] % _HOP
    hops = samples[:, :whole].reshape(len(samples), -1, _HOP)
    # Without the constant offset, which a model removes.
    return np.asarray(hops.var(axis=2), np.float32), samples[:, whole:]


def verify_files(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> Verification:
    """Decode both once. Raises `MediaRejected` if the recording itself cannot be read."""
    recording = _Track(before, find_speech=True)
    try:
        result = _Track(after, find_speech=False)
    except (MediaRejected, av.error.FFmpegError):
        result = None
    speech = recording.speech >= _SPEECH
    channels = [] if result is None else list(_channels(recording, result, speech))
    level_before, level_after = max(
        (_levels(*channel) for channel in channels if channel[2].any()),
        key=lambda levels: levels[0] - levels[1],
        default=(_NOTHING_DB, _NOTHING_DB),
    )
    return Verification(
        playable=result is not None,
        before_seconds=recording.seconds,
        after_seconds=result.seconds if result else 0.0,
        speech_seconds=float(speech.any(axis=0).sum()) * _HOP / RATE,
        speech_before_db=level_before,
        speech_after_db=level_after,
        lost_seconds=max((_lost_seconds(*channel) for channel in channels), default=0.0),
        tracks=recording.tracks,
        channels_before=recording.channels,
        channels_after=result.channels if result else 0,
    )


def _channels(
    recording: _Track, result: _Track, speech: npt.NDArray[np.bool_]
) -> Iterator[tuple[_Hops, _Hops, npt.NDArray[np.bool_]]]:
    """Power before, power after, and where somebody speaks: of each channel, of equal length."""
    for channel, spoken in enumerate(speech):
        before = recording.power[channel]
        after = result.power[min(channel, len(result.power) - 1)]
        count = min(len(spoken), len(before), len(after))
        yield before[:count], after[:count], spoken[:count]


def _levels(before: _Hops, after: _Hops, spoken: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """dBFS of the speech before and after."""
    return _db(float(before[spoken].mean())), _db(float(after[spoken].mean()))


def _lost_seconds(before: _Hops, after: _Hops, spoken: npt.NDArray[np.bool_]) -> float:
    """Of the speech, in stretches that have enough of it to tell."""
    starts = np.arange(0, len(spoken), _STRETCH)
    if not len(starts):
        return 0.0
    hops = np.add.reduceat(spoken, starts, dtype=np.int64)
    was, is_now = (np.add.reduceat(power * spoken, starts) for power in (before, after))
    lost = (hops >= _ENOUGH) & (is_now * 10 ** (_LOST_DB / 10) < was)
    return float(hops[lost].sum()) * _HOP / RATE


def _db(power: float) -> float:
    return max(float(10 * np.log10(max(power, 1e-30))), _NOTHING_DB)
