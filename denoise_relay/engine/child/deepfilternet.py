"""DeepFilterNet 3 through the C interface of its wheel: the preset `best`."""

from __future__ import annotations

import contextlib
from typing import Final

import numpy as np

from denoise_relay.engine.child import states
from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.model import Model

#: Samples by which the model's output lags its input: half a window of 960 for the transform, and
#: two frames of 480 that it looks ahead. A test measures it.
DELAY: Final = 1440
#: dBFS. Below -45 the model's quality falls, and below -50 it returns silence.
TARGET_DB: Final = -12.0
LOW_DB: Final = -40.0


class Channel:
    """The model's state for one channel. One state must hear one signal, in order."""

    def __init__(self) -> None:
        self._library = states.library()
        self._state: int | None = states.take()
        self.frame_length: int = self._library.df_get_frame_length(self._state)

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
    target_db = TARGET_DB
    low_db = LOW_DB

    def __init__(self, channels: int) -> None:
        super().__init__()
        with contextlib.ExitStack() as stack:
            self._channels = []
            for _ in range(channels):
                self._channels.append(Channel())
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
