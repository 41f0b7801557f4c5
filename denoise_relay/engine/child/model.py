"""What a model is to the pipeline, and how a preset finds its model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.presets import Preset

#: Hz, of every model.
MODEL_RATE: Final = 48_000


class Model(ABC):
    """Removes noise from 48 kHz blocks; what comes out lines up with what went in, to the sample.

    The channels do not bleed into each other. `push` returns what is ready, `finish` the rest;
    together exactly as many samples as were pushed. `close` frees what is native.
    """

    #: Samples by which the output lags the input.
    delay: ClassVar[int]
    #: dBFS to which the loudest passages are brought before, and below which a passage is lifted.
    target_db: ClassVar[float]
    low_db: ClassVar[float]

    def __init__(self) -> None:
        self._to_skip = self.delay
        self._owed = 0

    def push(self, samples: Samples) -> Samples:
        self._owed += samples.shape[1]
        return self._aligned(self._process(samples))

    def finish(self) -> Samples:
        return self._aligned(self._flush(self._owed + self._to_skip))

    def stream(self, samples: Samples) -> Iterator[Samples]:
        """As `push`, in pieces. Take all of them."""
        yield self.push(samples)

    def rest(self) -> Iterator[Samples]:
        """As `finish`, in pieces. Take all of them."""
        yield self.finish()

    @property
    def seconds_ahead(self) -> float:
        """What is done of the recording beyond what was returned."""
        return 0.0

    def allow(self, threads: int) -> None:  # noqa: B027 - most models have one
        """From now on use no more than so many cores. Thread-safe."""

    def close(self) -> None:  # noqa: B027 - not every model holds something native
        """Free what Python does not."""

    @abstractmethod
    def _process(self, samples: Samples) -> Samples:
        """Take a block of any length and return what is ready."""

    @abstractmethod
    def _flush(self, count: int) -> Samples:
        """End the stream: return `count` samples or more."""

    def _aligned(self, cleaned: Samples) -> Samples:
        skipped = min(self._to_skip, cleaned.shape[1])
        self._to_skip -= skipped
        cleaned = cleaned[:, skipped : skipped + self._owed]
        self._owed -= cleaned.shape[1]
        return np.nan_to_num(cleaned, nan=0.0, posinf=0.0, neginf=0.0)


def load(
    preset: Preset,
    channels: int,
    *,
    threads: int = 1,
    seconds: float = 0.0,
    on_waiting: Callable[[], None] = lambda: None,
) -> Model:
    """The model of a preset, with a state for each channel. Raises `ImportError`.

    With more than one thread `best` denoises on so many cores; `seconds` is about how long the
    recording is, and `on_waiting` is called now and then while nothing comes out.
    """
    if preset == "fast":
        from denoise_relay.engine.child.nsnet2 import Nsnet2

        return Nsnet2(channels)
    if threads > 1:
        from denoise_relay.engine.child.parallel import ParallelDeepFilterNet

        return ParallelDeepFilterNet(
            channels, threads=threads, seconds=seconds, on_waiting=on_waiting
        )
    from denoise_relay.engine.child.deepfilternet import DeepFilterNet

    return DeepFilterNet(channels)
