"""Measures loudness and true peak by ITU-R BS.1770, with FFmpeg's filter `ebur128`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av.error
import av.filter
import numpy as np
from av.audio.frame import AudioFrame

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.resample import LAYOUTS

#: LUFS: the filter's own lowest value, which is also its word for silence.
_LEAST_LUFS: Final = -70.0


class Ebur128:
    """The filter over a stream of samples. It says what it has measured every 100 ms."""

    def __init__(self, *, channels: int, rate: int, options: str = "metadata=1") -> None:
        self._layout = LAYOUTS[channels]
        self._rate = rate
        self._pushed = 0
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        source = self._graph.add_abuffer(
            sample_rate=rate, format="fltp", layout=self._layout, time_base=Fraction(1, rate)
        )
        meter = self._graph.add("ebur128", f"{options}:framelog=quiet")
        sink = self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()

    def push(self, samples: Samples) -> Iterator[dict[str, str]]:
        """What the filter says of `samples`, shape (channels, samples): the metadata of frames. The
        caller must take all of it."""
        if samples.shape[1]:
            frame = AudioFrame.from_ndarray(samples, "fltp", self._layout)
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._pushed
            self._pushed += samples.shape[1]
            self._graph.push(frame)
        return self._said()

    def finish(self) -> Iterator[dict[str, str]]:
        """What it says at the end. The last frame may be shorter than 100 ms, and then is empty."""
        self._graph.push(None)
        return self._said()

    def _said(self) -> Iterator[dict[str, str]]:
        while True:
            try:
                yield self._graph.pull().metadata
            except (av.error.BlockingIOError, av.error.EOFError):
                return


class LoudnessMeter:
    """Takes a stream of samples, and then says how loud all of it was.

    The filter keeps a histogram, so that memory does not grow with the stream.
    """

    def __init__(self, *, channels: int, rate: int) -> None:
        self._filter = Ebur128(channels=channels, rate=rate, options="metadata=1:peak=true")
        self._peak = 0.0
        self._last: dict[str, str] = {}

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples)."""
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
        self._keep(self._filter.push(samples))

    def finish(self) -> tuple[float | None, float | None]:
        """Integrated loudness in LUFS, true peak in dBTP; None for what is silent or too short."""
        self._keep(self._filter.finish())
        loudness = _number(self._last.get("lavfi.r128.I"))
        # The filter says it with three decimals, which is little where it is quiet.
        peak = max(_number(self._last.get("lavfi.r128.true_peak")) or 0.0, self._peak)
        return (
            None if loudness is None or loudness <= _LEAST_LUFS else loudness,
            20 * math.log10(peak) if peak else None,
        )

    def _keep(self, said: Iterator[dict[str, str]]) -> None:
        for found in said:
            self._last = found or self._last


def _number(text: str | None) -> float | None:
    """None for what is no finite number."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
