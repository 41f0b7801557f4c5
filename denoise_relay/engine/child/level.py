"""Brings each channel to the level that the models were made for; the pipeline undoes it after.

DeepFilterNet 3 returns silence for speech below -50 dBFS (its issues 388 and 464), and every
change of the gain costs it a moment of quality. So the gain follows the loudest passage of the
last 20 s, and rises above that only where a passage is so quiet that the model would lose it. All
windows look ahead, so that the gain has fallen before a loud voice begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.decode import Samples

#: Steps of the gain in a second.
HOPS_PER_SECOND: Final = 100
#: The most that a passage is lifted so.
_MOST_LIFT_DB: Final = 40.0
#: Nothing is taken for quieter than this. The noise of 16 bits is at -98.
_FLOOR_DB: Final = -80.0

_Curve = npt.NDArray[np.float64]  # shape (channels, hops)


class _Window:
    """A function of a sliding window over hops, as a stream; the first and last value are repeated
    at the ends."""

    def __init__(
        self, seconds_back: float, seconds_ahead: float, function: Callable[[Any], _Curve]
    ) -> None:
        self._back = round(seconds_back * HOPS_PER_SECOND)
        self._ahead = round(seconds_ahead * HOPS_PER_SECOND)
        self._function = function
        self._kept: _Curve | None = None

    def push(self, values: _Curve) -> _Curve:
        """The values that are certain by now."""
        if not values.shape[1]:
            return values
        if self._kept is None:
            self._kept = np.repeat(values[:, :1], self._back, axis=1)
        self._kept = np.concatenate([self._kept, values], axis=1)
        width = self._back + 1 + self._ahead
        ready = self._kept.shape[1] - width + 1
        if ready <= 0:
            return values[:, :0]
        result = self._function(np.lib.stride_tricks.sliding_window_view(self._kept, width, axis=1))
        self._kept = self._kept[:, ready:]
        return result

    def finish(self, rest: _Curve) -> _Curve:
        """The values after `rest` as the last input."""
        pushed = self.push(rest)
        if self._kept is None:
            return pushed
        padding = np.repeat(self._kept[:, -1:], self._ahead, axis=1)
        return np.concatenate([pushed, self.push(padding)], axis=1)


def _mean(windows: Any) -> _Curve:
    return np.asarray(windows.mean(axis=-1))


def _largest(windows: Any) -> _Curve:
    return np.asarray(windows.max(axis=-1))


def _smooth(windows: Any) -> _Curve:
    """Hann-weighted: no steps in the curve and none in its slope."""
    weights = np.hanning(windows.shape[-1] + 2)[1:-1]
    return np.asarray(windows @ (weights / weights.sum()))


class _Path:
    """Windows one behind the other."""

    def __init__(self, *windows: _Window) -> None:
        self._windows = windows

    def push(self, values: _Curve) -> _Curve:
        for window in self._windows:
            values = window.push(values)
        return values

    def finish(self, rest: _Curve) -> _Curve:
        for window in self._windows:
            rest = window.finish(rest)
        return rest


class Leveller:
    """Removes the constant offset of a stream and brings it to level, each channel by itself.

    `push` returns what is certain, up to 5 s late, and `finish` the rest: pairs of the levelled
    samples and the gain that each was multiplied by. In total as many samples as were pushed.
    Memory does not grow with the stream.
    """

    def __init__(self, *, channels: int, rate: int, target_db: float, low_db: float) -> None:
        """`target_db`: dBFS (RMS over 0.4 s) to which the loudest passages are brought; `low_db`:
        below which, after that, a passage is lifted."""
        self._target_db, self._low_db = target_db, low_db
        self._hop = rate // HOPS_PER_SECOND
        self._offset = _Path(_Window(0.2, 0.2, _mean))
        self._loudness = _Path(_Window(0.2, 0.2, _mean))
        self._loud = _Path(_Window(20.0, 3.0, _largest), _Window(1.5, 1.5, _smooth))
        self._near = _Path(_Window(1.5, 1.5, _largest), _Window(0.5, 0.5, _smooth))
        # Delay lines: samples that wait for whole hops, for their offset, for their gain.
        self._partial = np.zeros((channels, 0), np.float32)
        self._waiting = _Ramp(channels, self._hop)
        self._centred = _Ramp(channels, self._hop)
        self._curves = [np.zeros((channels, 0)), np.zeros((channels, 0))]

    def push(self, samples: Samples) -> tuple[Samples, Samples]:
        samples = np.concatenate([self._partial, samples], axis=1)
        whole = samples.shape[1] - samples.shape[1] % self._hop
        self._partial = samples[:, whole:]
        return self._run(samples[:, :whole], last=False)

    def finish(self) -> tuple[Samples, Samples]:
        left = self._partial.shape[1]
        # The mean of the rest, so that the padding of the last hop changes nothing.
        fill = self._partial.mean(axis=1, keepdims=True) if left else self._partial[:, :1]
        padding = np.repeat(fill, -left % self._hop, axis=1)
        levelled, gains = self._run(np.concatenate([self._partial, padding], axis=1), last=True)
        wanted = levelled.shape[1] - padding.shape[1]
        return levelled[:, :wanted], gains[:, :wanted]

    def _run(self, samples: Samples, *, last: bool) -> tuple[Samples, Samples]:
        offsets = _advance(self._offset, self._means(samples), last)
        waiting, offset = self._waiting.take(samples, offsets, last=last)
        centred = waiting - offset
        levels = _advance(self._loudness, self._means(centred**2), last)
        decibels = 10 * np.log10(np.maximum(levels, 10 ** (_FLOOR_DB / 10)))
        gain = 10 ** (self._gain_db(decibels, last) / 20)
        centred, gains = self._centred.take(centred, gain, last=last)
        return centred * gains, gains

    def _gain_db(self, levels: _Curve, last: bool) -> _Curve:
        for index, path in enumerate((self._loud, self._near)):
            curve = _advance(path, levels, last)
            self._curves[index] = np.concatenate([self._curves[index], curve], axis=1)
        ready = min(curve.shape[1] for curve in self._curves)
        loud, near = (curve[:, :ready] for curve in self._curves)
        self._curves = [curve[:, ready:] for curve in self._curves]
        gain = self._target_db - loud
        return gain + np.clip(self._low_db - (near + gain), 0.0, _MOST_LIFT_DB)

    def _means(self, samples: Samples) -> _Curve:
        return np.asarray(samples.reshape(len(samples), -1, self._hop).mean(axis=2, dtype=float))


class _Ramp:
    """Holds samples until a curve is known for their hop, and draws it as a line from the middle of
    one hop to the middle of the next."""

    def __init__(self, channels: int, hop: int) -> None:
        self._hop = hop
        self._samples = np.zeros((channels, 0), np.float32)
        self._points = np.zeros((channels, 0))

    def take(self, samples: Samples, points: _Curve, *, last: bool) -> tuple[Samples, Samples]:
        """The samples that are ready, and the curve at each."""
        self._samples = np.concatenate([self._samples, samples], axis=1)
        if not self._points.shape[1]:
            # Before the middle of the first hop the curve is flat.
            self._points = points[:, :1]
        self._points = np.concatenate([self._points, points], axis=1)
        if last:
            self._points = np.concatenate([self._points, self._points[:, -1:]], axis=1)
        # The points are at -½, ½, 1½… hops from the first sample that is held.
        ready = min(max(self._points.shape[1] - 2, 0) * self._hop, self._samples.shape[1])
        if not ready:
            return samples[:, :0], samples[:, :0]
        at = (np.arange(ready) + 0.5) / self._hop + 0.5
        position = np.arange(self._points.shape[1])
        curve = np.array([np.interp(at, position, points) for points in self._points], np.float32)
        taken, self._samples = self._samples[:, :ready], self._samples[:, ready:]
        self._points = self._points[:, ready // self._hop :]
        return taken, curve.reshape(taken.shape)


def _advance(path: _Path, values: _Curve, last: bool) -> _Curve:
    return path.finish(values) if last else path.push(values)
