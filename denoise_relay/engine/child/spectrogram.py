"""Measures how much there is of each frequency at each time, for a picture of fixed size."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.decode import Samples

#: Pixels of a picture. A short recording has fewer columns.
COLUMNS: Final = 1600
ROWS: Final = 256
#: Hz, of the lowest and of the highest row at most.
_LOWEST: Final = 50.0
_HIGHEST: Final = 20_000.0
#: Of a transform: enough to tell the harmonics of a low voice apart.
_WINDOW_SECONDS: Final = 0.08
#: Transforms begin this part of a window after each other: at most, and in short recordings.
_LONGEST_HOP: Final = 2
_SHORTEST_HOP: Final = 32
#: Frames in one go, which bounds memory.
_BATCH: Final = 64

_Powers = npt.NDArray[np.float32]  # shape (columns or frames, rows or bins)


class Spectrogram:
    """The power of a stream by time and by logarithm of the frequency; the mean over channels.

    About 1 is a sine of full scale. Columns grow with the stream, so that memory does not.
    """

    def __init__(self, *, rate: int, channels: int, seconds: float) -> None:
        """`seconds`: about how long the stream will be."""
        size = 1 << max(round(math.log2(rate * _WINDOW_SECONDS)), 6)
        wanted = max(int(seconds * rate / COLUMNS), 1)
        self._hop = min(max(wanted, size // _SHORTEST_HOP), size // _LONGEST_HOP)
        self._window = np.hanning(size + 1)[:-1].astype(np.float32)
        self._window *= np.float32(2 / self._window.sum())
        self._rows = _Rows(size, rate)
        # The first frame is around the first sample.
        self._held = np.zeros((channels, size // 2), np.float32)
        self._samples = 0
        #: Frames in each column; sums over them; and what there is of the next column.
        self._frames = 1
        self._columns: list[_Powers] = []
        self._count = 0
        self._open = np.zeros(ROWS, np.float32)
        self._open_frames = 0

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples)."""
        self._samples += samples.shape[1]
        self._transform(samples)

    def finish(self) -> _Powers:
        """Shape (columns, rows), from low to high; at most `COLUMNS`, of equal duration."""
        self._transform(np.zeros((len(self._held), len(self._window) // 2), np.float32))
        if self._open_frames:
            self._close(self._open_frames)
        columns = np.concatenate(self._columns)
        # Column k is about the samples from (k f - ½) h on, where f frames are h samples apart.
        step = self._hop * self._frames
        width = max(min(COLUMNS, self._samples // step), 1)
        edges = np.linspace(0, self._samples, width + 1) / step + 0.5 / self._frames
        sums = np.concatenate([np.zeros((1, ROWS)), np.cumsum(columns, axis=0, dtype=np.float64)])
        at = np.minimum(edges, len(columns))
        low = np.minimum(at.astype(int), len(columns) - 1)
        reached = sums[low] + (at - low)[:, None] * columns[low]
        means = np.diff(reached, axis=0) / np.maximum(np.diff(at), 1e-9)[:, None]
        return np.asarray(np.maximum(means, 0.0), np.float32)

    def _transform(self, samples: Samples) -> None:
        self._held = np.concatenate([self._held, samples], axis=1)
        size = len(self._window)
        count = (self._held.shape[1] - size) // self._hop + 1
        if count <= 0:
            return
        views = np.lib.stride_tricks.sliding_window_view(self._held, size, axis=1)
        frames = views[:, : count * self._hop : self._hop]
        for start in range(0, count, _BATCH):
            spectrum = np.fft.rfft(frames[:, start : start + _BATCH] * self._window)
            power = spectrum.real**2 + spectrum.imag**2
            self._add(power.mean(axis=0))
        self._held = self._held[:, count * self._hop :].copy()

    def _add(self, frames: _Powers) -> None:
        """Frames as powers of bins, shape (frames, bins)."""
        head = min((self._frames - self._open_frames) % self._frames, len(frames))
        if head:
            self._open += self._rows.of(frames[:head].sum(axis=0, keepdims=True))[0]
            self._open_frames += head
            frames = frames[head:]
            if self._open_frames == self._frames:
                self._close(self._frames)
        whole = len(frames) - len(frames) % self._frames
        if whole:
            sums = frames[:whole].reshape(-1, self._frames, frames.shape[1]).sum(axis=1)
            self._append(self._rows.of(sums) / np.float32(self._frames))
        if len(frames) > whole:
            self._open += self._rows.of(frames[whole:].sum(axis=0, keepdims=True))[0]
            self._open_frames += len(frames) - whole
        if self._count > 2 * COLUMNS:
            self._halve()

    def _close(self, frames: int) -> None:
        self._append((self._open / np.float32(frames))[None])
        self._open = np.zeros(ROWS, np.float32)
        self._open_frames = 0

    def _append(self, columns: _Powers) -> None:
        self._columns.append(columns)
        self._count += len(columns)

    def _halve(self) -> None:
        columns = np.concatenate(self._columns)
        even = len(columns) - len(columns) % 2
        if even < len(columns):  # the last one goes on
            self._open += columns[-1] * np.float32(self._frames)
            self._open_frames += self._frames
        self._columns = [columns[:even].reshape(-1, 2, ROWS).mean(axis=1)]
        self._count = even // 2
        self._frames *= 2


class _Rows:
    """Turns bins into rows: a row is the mean of the bins that it covers, and of the two nearest
    ones where rows are closer together than bins."""

    def __init__(self, size: int, rate: int) -> None:
        highest = min(_HIGHEST, rate / 2)
        edges = np.geomspace(_LOWEST, highest, ROWS + 1) * size / rate
        middle = np.sqrt(edges[:-1] * edges[1:])
        # Bin b is from b - ½ to b + ½.
        low = np.minimum(edges[:-1], middle - 0.5) + 0.5
        high = np.maximum(edges[1:], middle + 0.5) + 0.5
        self._bins = size // 2 + 1
        self._low = np.clip(low, 0, self._bins)
        self._high = np.clip(high, 0, self._bins)

    def of(self, powers: _Powers) -> _Powers:
        """From shape (frames, bins) to (frames, rows)."""
        sums = np.zeros((len(powers), self._bins + 1))
        np.cumsum(powers, axis=1, dtype=np.float64, out=sums[:, 1:])
        covered = self._until(sums, self._high) - self._until(sums, self._low)
        return np.asarray(covered / (self._high - self._low), np.float32)

    def _until(self, sums: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> Any:
        whole = np.minimum(edges.astype(int), self._bins - 1)
        return sums[:, whole] + (edges - whole) * (sums[:, whole + 1] - sums[:, whole])
