"""Which recordings of a comparison can be heard: both jobs are done, and stored here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.comparison.variants import Variant, variant_of, variants_of
from denoise_relay.lifecycle import Status
from denoise_relay.models import Comparison, ComparisonItem, Job

#: Of an item: can be heard, will be, or never will.
State = Literal["ready", "waiting", "unusable"]


def audible(viewer: Viewer, comparison: Comparison) -> list[ComparisonItem]:
    """The recordings that are ready and that the listener may hear."""
    query = comparison.items.select_related(
        "first__owner", "first__api_key", "second__owner", "second__api_key"
    )
    return [
        item
        for item in query
        if state_of(comparison, item) == "ready"
        and all(job and access.allowed(viewer, job) for job in (item.first, item.second))
    ]


def state_of(comparison: Comparison, item: ComparisonItem) -> State:
    """Whether an item can be heard. A result that is not stored here never can."""
    states = [
        _state_of_run(job, variant)
        for job, variant in zip((item.first, item.second), variants_of(comparison), strict=True)
    ]
    if "unusable" in states:
        return "unusable"
    return "waiting" if "waiting" in states else "ready"


def _state_of_run(job: Job | None, variant: Variant) -> State:
    if job is None:
        return "unusable"
    if not job.ended:
        return "waiting"
    # Another backend may have done it: the site's settings may change while a job waits.
    usable = job.status == Status.DONE and job.result and variant_of(job) == variant
    return "ready" if usable else "unusable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """How many recordings of a comparison are in each state."""

    ready: int
    waiting: int
    unusable: int

    @property
    def total(self) -> int:
        """Those that are or will be ready."""
        return self.ready + self.waiting


def count(comparison: Comparison) -> Readiness:
    """The state of each recording, counted."""
    items = comparison.items.select_related("first", "second")
    states = [state_of(comparison, item) for item in items]
    return Readiness(
        ready=states.count("ready"),
        waiting=states.count("waiting"),
        unusable=states.count("unusable"),
    )
