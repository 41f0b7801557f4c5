"""Jobs whose events are committed, and published where a test says so; anybody may watch them."""

from __future__ import annotations

from typing import Any

from denoise_relay.events import Event, Fact
from denoise_relay.journal.append import Outcome
from denoise_relay.models import Job
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database
from tests.db.factories import append, end, make_job


def anybody(*_: Any) -> bool:
    """An access policy for tests that are not about access."""
    return True


async def job_with(percents: int = 0) -> Job:
    """A queued job with so many events of progress: its seq is one more."""
    job: Job = await database.call(make_job)
    for pct in range(1, percents + 1):
        await commit(job, pct)
    return job


async def commit(job: Job, pct: float) -> Event:
    """Journal progress without publishing it."""
    return _event(await database.call(append, job, Fact(pct=pct)))


async def publish(job: Job, pct: float) -> None:
    """Journal progress and publish it."""
    await publisher.publish([await commit(job, pct)])


async def publish_end(job: Job) -> None:
    """End the job well and publish that."""
    await publisher.publish([_event(await database.call(end, job))])


def _event(outcome: Outcome) -> Event:
    assert outcome.event is not None
    return outcome.event
