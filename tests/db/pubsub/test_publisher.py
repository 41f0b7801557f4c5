"""Publishing: a channel layer that fails or freezes delays nobody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from pytest_django import Settings

from denoise_relay.events import Event, Stage
from denoise_relay.frames import parse_frame
from denoise_relay.pubsub import publisher
from denoise_relay.pubsub.messages import ALL_JOBS
from tests.db.pubsub.layers import Layer


def some(count: int) -> list[Event]:
    return [
        Event(
            job=uuid4(),
            seq=1,
            stage=Stage.PROCESSING,
            pct=0.0,
            message="",
            at=datetime.now(UTC),
        )
        for _ in range(count)
    ]


async def test_each_event_of_few_goes_to_its_jobs_group(layer: Layer) -> None:
    """As version 0.1.0 sends and understands them."""
    events = some(2)

    await publisher.publish(events)
    await publisher.sent()

    assert [group for group, _ in layer.sent] == [f"denoise.job.{e.job.hex}" for e in events]
    frame = parse_frame(layer.sent[0][1]["frame"])
    assert (frame.job, frame.seq, frame.terminal) == (events[0].job, 1, False)


async def test_events_of_many_jobs_go_to_all_in_their_order(layer: Layer) -> None:
    events = some(3)

    await publisher.publish(events)
    await publisher.sent()

    ((group, message),) = layer.sent
    assert group == ALL_JOBS
    assert [parse_frame(line).job for line in message["frame"].split("\n")] == [
        event.job for event in events
    ]


async def test_how_many_are_few_is_a_setting(layer: Layer, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MESSAGES_PER_COMMIT": 60}

    await publisher.publish(some(60))
    await publisher.sent()

    assert len({group for group, _ in layer.sent}) == 60


async def test_a_frozen_layer_delays_nobody_and_is_then_not_used(layer: Layer) -> None:
    layer.frozen = True
    published = asyncio.ensure_future(publisher.publish(some(5)))
    await asyncio.sleep(0)
    assert published.done()
    async with asyncio.timeout(2):  # several messages, and yet one time-out
        await publisher.publish(some(1000))
        await publisher.sent()
    calls = layer.calls

    await publisher.publish(some(1))
    await publisher.sent()
    await publisher.wake()

    assert layer.calls == calls


async def test_a_layer_that_raises_is_used_again(layer: Layer) -> None:
    layer.error = ConnectionError("refused")
    await publisher.publish(some(1))
    await publisher.sent()
    layer.error = None
    await publisher.publish(some(1))
    await publisher.sent()

    assert len(layer.sent) == 1


async def test_a_closed_loop_is_ignored() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    publisher._call_on(loop, lambda: None)
