"""A queue of samples: blocks go in, any number of samples comes out."""

from __future__ import annotations

from collections import deque

import numpy as np

from denoise_relay.engine.child.decode import Samples


class Fifo:
    """Copies each sample once, however long the queue is. Blocks have the shape (channels, n)."""

    def __init__(self, channels: int) -> None:
        self._blocks: deque[Samples] = deque()
        self._nothing = np.zeros((channels, 0), np.float32)
        #: Samples per channel that are held.
        self.size = 0

    def push(self, samples: Samples) -> None:
        if samples.shape[1]:
            self._blocks.append(samples)
            self.size += samples.shape[1]

    def take(self, count: int) -> Samples:
        """The oldest `count` samples, which must be there."""
        taken = [self._nothing]
        missing = count
        while missing:
            block = self._blocks.popleft()
            if block.shape[1] > missing:
                self._blocks.appendleft(block[:, missing:])
                block = block[:, :missing]
            taken.append(block)
            missing -= block.shape[1]
        self.size -= count
        return np.concatenate(taken, axis=1)
