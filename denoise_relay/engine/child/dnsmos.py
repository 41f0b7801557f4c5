"""Rates how a recording sounds, without its clean version: DNSMOS P.835 (Reddy et al., 2022).

The network is in the wheel `speechmos` (the extra `quality`), whose code asks for librosa and is
therefore not imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.resample import Resampler

_PACKAGE: Final = "speechmos"
_MODEL: Final = "dnsmos_models/sig_bak_ovr.onnx"
#: Hz and samples that the network hears at once.
_RATE: Final = 16_000
_SAMPLES: Final = 144_160
_SECONDS: Final = _SAMPLES / _RATE
#: Passages that are rated, spread over the recording: each takes half a second of CPU.
MOST_PASSAGES: Final = 6
#: A recording that is shorter has nothing to rate.
_SHORTEST_SECONDS: Final = 1.0
#: RMS below which there is nothing to hear.
_SILENCE: Final = 1e-5
#: Which output is the overall score, and what brings it to the scale of listeners.
_OVERALL: Final = 2
_SCALE: Final = (-0.06766283, 1.11546468, 0.04602535)


class Passages:
    """Keeps what will be rated of a stream: at most 55 s."""

    def __init__(self, *, rate: int, seconds: float) -> None:
        """`seconds`: about how long the stream will be."""
        self._rate = rate
        self._length = round(_SECONDS * rate)
        count = min(max(int(seconds / _SECONDS), 1), MOST_PASSAGES)
        middles = (np.arange(count) + 0.5) / count * seconds * rate
        self._starts = [max(round(middle - self._length / 2), 0) for middle in middles]
        self._kept: list[list[Samples]] = [[] for _ in self._starts]
        self._pushed = 0

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples)."""
        end = self._pushed + samples.shape[1]
        for start, kept in zip(self._starts, self._kept, strict=True):
            first = max(start - self._pushed, 0)
            last = min(start + self._length, end) - self._pushed
            if first < last:
                kept.append(samples[:, first:last].mean(axis=0, keepdims=True))
        self._pushed = end

    def each(self) -> list[Samples]:
        """Shape (samples,), at `_RATE`; shorter than the network's at the end of the stream."""
        whole = [np.concatenate(kept, axis=1) for kept in self._kept if kept]
        return [_resampled(passage, self._rate) for passage in whole]


class Rater:
    """The network. Raises `ImportError` where the extra `quality` is not installed."""

    def __init__(self) -> None:
        model = _model()
        if model is None:
            raise ImportError(f"no {_MODEL}", name=_PACKAGE)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def rate(self, passages: list[Samples]) -> float | None:
        """The mean of the overall scores, 1 to 5; None if there is too little to hear."""
        scores = [
            self._score(passage)
            for passage in passages
            if len(passage) >= _SHORTEST_SECONDS * _RATE and passage.std() > _SILENCE
        ]
        return float(np.mean(scores)) if scores else None

    def _score(self, passage: Samples) -> float:
        # A short one is heard again and again, as in the authors' own code.
        heard = np.clip(np.resize(passage, _SAMPLES), -1.0, 1.0).astype(np.float32)
        (output,) = self._session.run(None, {self._input: heard[None]})
        return float(np.clip(np.polyval(_SCALE, output[0][_OVERALL]), 1.0, 5.0))


def installed() -> bool:
    """Whether the extra `quality` is there. Loads none of it."""
    return importlib.util.find_spec("onnxruntime") is not None and _model() is not None


def _model() -> str | None:
    """The file in the package's folder; its code stays unloaded."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, _MODEL)
        if path.is_file():
            return str(path)
    return None


def _resampled(passage: Samples, rate: int) -> Samples:
    resampler = Resampler(channels=1, rate_in=rate, rate_out=_RATE)
    parts = resampler.push(np.ascontiguousarray(passage)), resampler.finish()
    return np.asarray(np.concatenate(parts, axis=1)[0], np.float32)
