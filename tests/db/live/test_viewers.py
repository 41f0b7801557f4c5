"""Invariants 2 and 3: however viewers connect, and whatever messages are lost, they see the end."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from denoise_relay.events import Event, Fact
from denoise_relay.frames import Frame
from denoise_relay.live.event_stream import event_stream
from denoise_relay.live.feed import Feed
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.checks import checked_events
from tests.db.factories import DONE, FAILED, append, end, make_job
from tests.db.live.jobs import job_with, publish, publish_end
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Viewer:
    """Reads the stream, and reconnects with the number that it had when it was cut off."""

    job: UUID
    after: int | None = None
    frames: list[dict[str, Any]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def connect(self) -> None:
        self.task = asyncio.create_task(self._read(), name="test-viewer")

    async def drop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})

    async def _read(self) -> None:
        after = self.frames[-1]["seq"] if self.frames else self.after
        stream = event_stream(self.job, after, lambda frame: frame.text.encode())
        try:
            async for text in stream:
                if not text.startswith(b":"):
                    self.frames.append(json.loads(text))
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    @property
    def finished(self) -> bool:
        return bool(self.frames) and self.frames[-1]["stage"] != "processing"


class LossyLayer:
    """Loses, doubles, delays and reorders frames on their way to the feed."""

    def __init__(self, feed: Feed, chance: random.Random) -> None:
        self.feed, self.chance = feed, chance
        self.held: list[Frame] = []

    def publish(self, event: Event | None) -> None:
        if event is not None:
            self.held += [frame_of(event)] * self.chance.choice([0, 0, 1, 1, 1, 2])
        if self.chance.random() < 0.3:
            self.chance.shuffle(self.held)
        for _ in range(self.chance.randrange(len(self.held) + 1)):
            self.feed.deliver(self.held.pop(0))


STEPS = st.lists(
    st.sampled_from(["report", "report", "report", "connect", "drop", "check", "breathe"]),
    min_size=5,
    max_size=25,
)


@given(
    steps=STEPS,
    seed=st.integers(0, 2**32),
    ending=st.sampled_from([DONE, FAILED]),
    afters=st.lists(st.one_of(st.none(), st.integers(0, 30)), min_size=3, max_size=3),
)
@settings(
    max_examples=40,
    deadline=None,
    # A failure shows only at a deadline, so shrinking one would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_viewers_converge_however_they_connect(
    the_feed: Feed, steps: list[str], seed: int, ending: Fact, afters: list[int | None]
) -> None:
    chance = random.Random(seed)
    job = await database.call(make_job)
    layer = LossyLayer(the_feed, chance)
    viewers = [Viewer(job.pk, after) for after in afters]
    early, late = Viewer(job.pk), Viewer(job.pk, after=0)
    early.connect()
    try:
        for step in steps:
            viewer = chance.choice(viewers)
            match step:
                case "report":
                    fact = Fact(pct=chance.uniform(-5, 105), message=str(chance.random()))
                    layer.publish((await database.call(append, job, fact)).event)
                case "connect" if viewer.task is None or viewer.task.done():
                    viewer.connect()
                case "drop":
                    await viewer.drop()
                case "check":
                    await the_feed.check_now()
                case _:
                    await asyncio.sleep(0)
        last = (await database.call(end, job, ending)).event
        layer.publish(last if chance.random() < 0.5 else None)
        everybody = [early, late, *viewers]
        for viewer in everybody:
            if not viewer.finished and (viewer.task is None or viewer.task.done()):
                viewer.connect()

        async def converged() -> bool:
            await the_feed.check_now()
            return all(viewer.finished for viewer in everybody)

        await eventually(converged, within=5)
    finally:
        for viewer in [early, late, *viewers]:
            await viewer.drop()

    events = await database.call(checked_events, job.pk)
    journal = {event.seq: json.loads(frame_of(event).text) for event in events}
    for viewer in everybody:
        numbers = [frame["seq"] for frame in viewer.frames]
        if not (viewer.after or 0) > len(events):  # after a forged number it starts again
            assert numbers == sorted(set(numbers))
        percents = [frame["pct"] for frame in viewer.frames]
        assert percents == sorted(percents)
        assert [frame["stage"] != "processing" for frame in viewer.frames].count(True) == 1
        for frame in viewer.frames:  # so is the first frame after a forged number marked
            assert not frame.pop("rewound", False) or (viewer.after or 0) > frame["seq"]
        assert viewer.frames[-1] == journal[len(events)]
        assert all(frame == journal[frame["seq"]] for frame in viewer.frames)
    # A viewer that asked for everything got everything.
    assert [frame["seq"] for frame in late.frames] == sorted(journal)
    await eventually(lambda: the_feed.viewers == 0)


async def test_all_events_after_a_number_and_then_live(the_feed: Feed) -> None:
    job = await job_with(5)
    viewer = Viewer(job.pk, after=3)
    viewer.connect()
    await eventually(lambda: viewer.frames)
    for pct in range(6, 9):
        await publish(job, pct)
    await publish_end(job)
    assert viewer.task is not None
    await asyncio.wait_for(viewer.task, 5)

    assert [frame["seq"] for frame in viewer.frames] == [4, 5, 6, 7, 8, 9, 10]
