"""Costs as sums of few constants, fitted to what was measured. Times are µs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Sockets with which a frame costs half of what it costs more with very many.
HALF_COLD = 300.0


def fit(features: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """The constants, none below zero, that are nearest to `values` in relative terms.

    Each value is the sum of its features, each times a constant. Raises `ValueError` without
    values, or where one is not above zero.
    """
    if not values or min(values) <= 0:
        raise ValueError("values above zero are needed")
    # Divided by the value: 10% off counts the same for a small one as for a large one.
    rows = np.array(features, float) / np.array(values, float)[:, None]
    ones, width = np.ones(len(values)), rows.shape[1]
    best, least = [0.0] * width, float("inf")
    for size in range(1, width + 1):
        for columns in itertools.combinations(range(width), size):
            found = np.linalg.lstsq(rows[:, columns], ones, rcond=None)[0]
            if found.min() < 0:
                continue
            off = float(((rows[:, columns] @ found - ones) ** 2).sum())
            if off < least - 1e-12:
                least, best = off, [0.0] * width
                for column, constant in zip(columns, found, strict=True):
                    best[column] = float(constant)
    return best


@dataclass(frozen=True, kw_only=True)
class Fanout:
    """One web process: a publication of some jobs' events reaches their viewers."""

    #: Of each call of the publisher, and of each event in it.
    publish_us: float
    event_us: float
    #: Of each viewer's frame: with few sockets, and more where they do not fit the caches.
    warm_us: float
    cold_us: float

    def frame_us(self, sockets: float) -> float:
        """Of a frame, in a process with so many sockets."""
        return self.warm_us + self.cold_us * sockets / (sockets + HALF_COLD)

    def total_us(self, jobs: float, viewers: float) -> float:
        """Of one event of each of `jobs` jobs, with `viewers` viewers each."""
        frames = jobs * viewers
        return self.publish_us + jobs * self.event_us + frames * self.frame_us(frames)

    def per_frame_us(self, jobs: float, viewers: float) -> float:
        """The same for each frame."""
        return self.total_us(jobs, viewers) / (jobs * viewers)

    @classmethod
    def fitted(
        cls, points: Mapping[tuple[int, int], float], commits: Mapping[tuple[int, int], float]
    ) -> Fanout:
        """From µs per frame of `(jobs, viewers of each)`, published at once, and of `(jobs, events
        in a commit)`, with a viewer each."""
        features = [[1 / (j * v), 1 / v, 1, j * v / (j * v + HALF_COLD)] for j, v in points]
        features += [[1 / size, 1, 1, j / (j + HALF_COLD)] for j, size in commits]
        values = [*points.values(), *commits.values()]
        publish, event, warm, cold = fit(features, values)
        return cls(publish_us=publish, event_us=event, warm_us=warm, cold_us=cold)


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """Something done for a group at once: a transaction, a message between processes."""

    group_us: float
    each_us: float

    def total_us(self, size: float) -> float:
        """Of a group of so many."""
        return self.group_us + size * self.each_us

    def per_event_us(self, size: float) -> float:
        """Of each event in it."""
        return self.total_us(size) / size

    @classmethod
    def fitted(cls, points: Mapping[int, float]) -> Grouped:
        """From µs per event for sizes of groups."""
        features = [[1 / size, 1] for size in points]
        group, each = fit(features, list(points.values()))
        return cls(group_us=group, each_us=each)
