"""Mixes a recording with its clean copy, sample by sample."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Self

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.lockstep import Track


class Mix:
    """The mix as a stream. Close it by leaving the block.

    It has the clean copy's rate and length, and the channels of the one that has more. Raises
    `MediaRejected` if one of them cannot be read.
    """

    def __init__(
        self,
        before: str | os.PathLike[str],
        after: str | os.PathLike[str],
        *,
        share: float,
    ) -> None:
        """`share` is how much of the recording is in the mix, 0 to 1; at 0 it is not opened."""
        self._share = np.float32(share)
        with contextlib.ExitStack() as stack:
            self._after = stack.enter_context(Track(after))
            self._before = stack.enter_context(Track(before)) if share else None
            self._stack = stack.pop_all()
        self.rate = self._after.rate
        self.channels = max(track.channels for track in (self._after, self._before) if track)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def pieces(self, most: int) -> Iterator[Samples]:
        """Arrays of shape (channels, samples), a second each, from start to end: `most` samples at
        the most. Once."""
        shape = {"rate": self.rate, "channels": self.channels, "count": self.rate}
        recording = self._before.pieces(**shape) if self._before else iter(())
        nothing = np.zeros((self.channels, 0), np.float32)
        for clean in self._after.pieces(**shape):
            piece = clean[:, :most]
            count = piece.shape[1]
            if self._before:
                noisy = next(recording, nothing)[:, :count]
                noisy = np.pad(noisy, ((0, 0), (0, count - noisy.shape[1])))
                piece = piece + self._share * (noisy - piece)
            yield piece
            most -= count
            if not most:
                return


def share_of_recording(mix: float, max_attenuation_db: float | None) -> float:
    """How much of the recording is in the result. `mix`: 0 is the recording, 1 the clean copy, in
    which what was removed is lowered by `max_attenuation_db` and not more."""
    kept = 0.0 if max_attenuation_db is None else 10 ** (-max_attenuation_db / 20)
    return 1 - mix * (1 - kept)
