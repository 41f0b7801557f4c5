"""Measures the noise in the pauses of a recording, and the speech over it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.speech import HOP_SECONDS, SpeechDetector

#: Probability from which on a hop is speech.
_SPEECH: Final = 0.5
#: Hops around speech that are no pause: the room rings, and results may be late.
_MARGIN: Final = 6
#: Hops. With fewer pauses than that, the quietest part of the recording has to do.
_FEWEST: Final = 16
_QUIETEST_PERCENT: Final = 10
#: Power. What 16 bits can hold ends at about -98 dBFS.
_LEAST: Final = 1e-10
_SNR_RANGE: Final = (-20.0, 100.0)
#: Passages in which speech is looked for, and their hops: a minute, spread over the recording.
#: The detector is by far the most expensive of all that is measured.
_PASSAGES: Final = 8
_PASSAGE_HOPS: Final = 235

_Powers = npt.NDArray[np.float32]  # shape (hops,)
_Hops = npt.NDArray[np.bool_]


class PowerMeter:
    """The power of each hop of `speech.HOP_SECONDS`, without a constant offset: the mean over the
    channels. Takes 4 bytes a hop."""

    def __init__(self, rate: int) -> None:
        self._hop = rate * HOP_SECONDS
        self._hops = 0
        self._taken = 0
        self._waiting: Samples | None = None
        self._powers: list[_Powers] = []

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples)."""
        if self._waiting is not None:
            samples = np.concatenate([self._waiting, samples], axis=1)
        end = self._taken + samples.shape[1]
        # A hop need not be a whole number of samples: each begins at the nearest one.
        count = int((end + 0.5) / self._hop) - self._hops
        edges = np.rint(np.arange(self._hops, self._hops + count + 1) * self._hop).astype(int)
        edges = edges[edges <= end] - self._taken
        if len(edges) > 1:
            whole = samples[:, : edges[-1]].astype(np.float64)
            lengths = np.diff(edges)
            means = np.add.reduceat(whole, edges[:-1], axis=1) / lengths
            squares = np.add.reduceat(whole**2, edges[:-1], axis=1) / lengths
            powers = np.maximum(squares - means**2, 0.0).mean(axis=0)
            self._powers.append(powers.astype(np.float32))
            self._hops += len(lengths)
            self._taken += int(edges[-1])
            samples = samples[:, edges[-1] :]
        self._waiting = samples

    def finish(self) -> _Powers:
        """Of all whole hops."""
        return np.concatenate([np.zeros(0, np.float32), *self._powers])


class SpeechSampler:
    """How probably each hop of a stream is speech, in passages that are spread over it."""

    def __init__(self, *, rate: int, seconds: float) -> None:
        """`seconds`: about how long the stream will be."""
        self._rate = rate
        hops = max(int(seconds / HOP_SECONDS), 1)
        count = min(max(hops // _PASSAGE_HOPS, 1), _PASSAGES)
        starts = np.linspace(0, max(hops - _PASSAGE_HOPS, 0), count).astype(int)
        self._passages = [(int(start), int(start) + _PASSAGE_HOPS) for start in starts]
        self._detector: SpeechDetector | None = None
        self._found: list[tuple[int, npt.NDArray[np.float32]]] = []
        self._pushed = 0
        self._part: list[npt.NDArray[np.float32]] = []

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples), of which the mean is heard."""
        begin, end = self._pushed, self._pushed + samples.shape[1]
        self._pushed = end
        while self._passages:
            first, last = (round(hop * self._rate * HOP_SECONDS) for hop in self._passages[0])
            heard = samples[:, max(first - begin, 0) : max(last - begin, 0)]
            if heard.shape[1]:
                if self._detector is None:
                    self._detector = SpeechDetector(channels=1, rate=self._rate)
                mono = np.ascontiguousarray(heard.mean(axis=0, keepdims=True))
                self._part.append(self._detector.push(mono)[0])
            if last > end:
                return
            self._close()

    def finish(self, hops: int) -> npt.NDArray[np.float32]:
        """Shape (hops,); NaN where nobody listened."""
        if self._detector is not None:
            self._close()
        probabilities = np.full(hops, np.nan, np.float32)
        for first, found in self._found:
            part = probabilities[first : first + len(found)]
            part[:] = found[: len(part)]
        return probabilities

    def _close(self) -> None:
        """The first passage is over."""
        first, last = self._passages.pop(0)
        if self._detector is not None:
            found = np.concatenate([*self._part, self._detector.finish()[0]])
            self._found.append((first, found[: last - first]))
        self._detector, self._part = None, []


def noise_and_snr(
    powers: _Powers, speech: npt.NDArray[np.float32]
) -> tuple[float | None, float | None]:
    """The noise floor in dBFS, and the signal-to-noise ratio in dB.

    `speech` are probabilities of the same hops, NaN for those that do not count. The floor is the
    median power of the pauses, so that a cough or a missed word does not move it; with too few
    pauses it is the power that a tenth of the hops do not reach. The ratio is that of the mean
    power of speech, without the floor's, to the floor. Both are None for silence, and the ratio
    without speech.
    """
    if powers.max(initial=0.0) <= _LEAST:
        return None, None
    spoken, known = speech >= _SPEECH, ~np.isnan(speech)
    pauses = powers[known & ~_widened(spoken)]
    if len(pauses) >= _FEWEST:
        floor = float(np.median(pauses))
    else:
        floor = float(np.percentile(powers, _QUIETEST_PERCENT))
    floor = max(floor, _LEAST)
    snr = None
    if spoken.any():
        voice = max(float(powers[spoken].mean(dtype=np.float64)) - floor, 0.0)
        least, most = _SNR_RANGE
        snr = min(max(_db(voice / floor), least), most)
    return _db(floor), snr


def _widened(spoken: _Hops) -> _Hops:
    """With the hops around."""
    width = 2 * _MARGIN + 1
    sums = np.cumsum(np.pad(spoken.astype(np.int64), (_MARGIN + 1, _MARGIN)))
    return np.asarray(sums[width:] - sums[:-width] > 0)


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-30)))
