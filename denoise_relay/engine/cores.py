"""Shares the cores of a process among the engines that run at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class CoreShare:
    """What one engine may use. Changes while other engines come and go; at least 1."""

    def __init__(self) -> None:
        self.cores = 1
        self._told: Callable[[int], None] | None = None

    @contextlib.contextmanager
    def follow(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Have `tell` called with what holds now, which may not be what it was when the engine was
        started, and with each change until the block is left."""
        self._told = tell
        tell(self.cores)
        try:
            yield
        finally:
            self._told = None

    def change(self, cores: int) -> None:
        if cores != self.cores:
            self.cores = cores
            if self._told is not None:
                self._told(cores)


class Cores:
    """So many cores. Belongs to one event loop.

    An engine that is alone has all of them. What it had when it began is the most that it will use,
    so that a queue of jobs is done one on each core, which costs least.
    """

    def __init__(self, count: int) -> None:
        self.count = max(count, 1)
        self._shares: list[CoreShare] = []

    @contextlib.contextmanager
    def share(self) -> Iterator[CoreShare]:
        """A share for one engine, until the block is left."""
        share = CoreShare()
        self._shares.append(share)
        self._divide()
        try:
            yield share
        finally:
            self._shares.remove(share)
            self._divide()

    def _divide(self) -> None:
        """Equal parts; what is left over goes to those that began first."""
        each, over = divmod(self.count, len(self._shares) or 1)
        for number, share in enumerate(self._shares):
            share.change(max(each + (number < over), 1))
