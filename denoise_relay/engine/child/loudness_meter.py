"""Measures loudness and true peak by ITU-R BS.1770, with FFmpeg's filter `ebur128`."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from typing import Any, Final

import av.error
import av.filter
import numpy as np
from av.audio.frame import AudioFrame

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.resample import LAYOUTS

#: LUFS: the filter's own lowest value, which is also its word for silence.
_LEAST_LUFS: Final = -70.0


class LoudnessMeter:
    """Takes a stream of samples, and then says how loud all of it was.

    The graph keeps a histogram, so that memory does not grow with the stream.
    """

    def __init__(self, *, channels: int, rate: int) -> None:
        self._layout = LAYOUTS[channels]
        self._rate = rate
        self._pushed = 0
        self._peak = 0.0
        #: The last one may be shorter than the filter's 100 ms, and then says nothing.
        self._last: deque[Any] = deque(maxlen=2)
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        source = self._graph.add_abuffer(
            sample_rate=rate, format="fltp", layout=self._layout, time_base=Fraction(1, rate)
        )
        meter = self._graph.add("ebur128", "metadata=1:peak=true:framelog=quiet")
        sink = self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples)."""
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
        frame = AudioFrame.from_ndarray(samples, "fltp", self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._pushed
        self._pushed += samples.shape[1]
        self._graph.push(frame)
        self._pull()

    def finish(self) -> tuple[float | None, float | None]:
        """Integrated loudness in LUFS, true peak in dBTP; None for what is silent or too short."""
        self._graph.push(None)
        self._pull()
        said: dict[str, str] = next(
            (found for frame in reversed(self._last) if (found := frame.metadata)), {}
        )
        loudness = _number(said.get("lavfi.r128.I"))
        # The filter says it with three decimals, which is little where it is quiet.
        peak = max(_number(said.get("lavfi.r128.true_peak")) or 0.0, self._peak)
        return (
            None if loudness is None or loudness <= _LEAST_LUFS else loudness,
            20 * math.log10(peak) if peak else None,
        )

    def _pull(self) -> None:
        while True:
            try:
                self._last.append(self._graph.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _number(text: str | None) -> float | None:
    """None for what is no finite number."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
