"""Publishing and subscribing: a channel layer that fails or freezes delays nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pytest_django import Settings

from denoise_relay.events import Event, Stage
from denoise_relay.frames import parse_frame
from denoise_relay.pubsub import publisher, subscriber
from denoise_relay.pubsub.messages import ALL_JOBS
from denoise_relay.pubsub.subscriber import Subscription
from tests.waiting import eventually


class Layer:
    """A channel layer that fails or freezes as a test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.groups: set[str] = set()
        self.inbox: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self.frozen = False
        self.error: Exception | None = None
        self.calls = 0

    async def _do(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if self.frozen:
            await asyncio.Event().wait()

    async def new_channel(self) -> str:
        return "test.channel"

    async def group_add(self, group: str, channel: str) -> None:
        await self._do()
        self.groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._do()
        self.groups.discard(group)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._do()
        self.sent.append((group, message))

    async def receive(self, channel: str) -> dict[str, Any]:
        message = await self.inbox.get()
        if isinstance(message, Exception):
            raise message
        return message


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    made = Layer()
    monkeypatch.setattr(publisher, "shared_layer", lambda: made)
    monkeypatch.setattr(publisher, "_paused_until", 0.0)
    monkeypatch.setattr(publisher, "SEND_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(subscriber, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(subscriber, "RETRY_SECONDS", 0.01)
    return made


class Receiver:
    """Keeps what a subscription calls it with."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gaps = 0
        self.react: Callable[[], None] = lambda: None

    def on_message(self, message: dict[str, Any]) -> None:
        self.react()
        self.messages.append(message)

    def on_gap(self) -> None:
        self.gaps += 1


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest_asyncio.fixture
async def subscription(layer: Layer, receiver: Receiver) -> AsyncIterator[Subscription]:
    made = Subscription("test", receiver.on_message, receiver.on_gap)
    made.start()
    yield made
    await made.stop()


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


async def test_groups_are_joined_and_left(layer: Layer, subscription: Subscription) -> None:
    subscription.join("a")
    subscription.join("b")
    await eventually(lambda: layer.groups == {"a", "b"})
    subscription.leave("a")
    await eventually(lambda: layer.groups == {"b"})


async def test_many_who_come_at_once_do_not_wait_for_each_other(
    layer: Layer, subscription: Subscription
) -> None:
    """The pub/sub layer has one lock, and joining a group has a time-out."""
    lock = asyncio.Lock()

    async def slowly(group: str, channel: str) -> None:
        async with lock:
            await asyncio.sleep(0.002)
            layer.groups.add(group)

    layer.group_add = slowly  # type: ignore[method-assign]
    await eventually(lambda: subscription._channel)
    for number in range(200):  # four times the time-out
        subscription.join(f"group-{number}")

    await eventually(lambda: len(layer.groups) == 200)


async def test_a_layer_that_fails_once_is_joined_by_the_next_check(
    layer: Layer, subscription: Subscription
) -> None:
    await eventually(lambda: subscription._channel)
    layer.error = ConnectionError("refused")
    subscription.join("a")
    subscription.join("b")
    await eventually(lambda: layer.calls == 1 and not subscription._applying)
    layer.error = None
    subscription.join("c")
    await eventually(lambda: layer.groups == {"c"})

    await subscription.rejoin()

    assert layer.groups == {"a", "b", "c"}


async def test_the_groups_of_a_restarted_layer_are_joined_again(
    layer: Layer, subscription: Subscription, receiver: Receiver
) -> None:
    subscription.join("a")
    await eventually(lambda: layer.groups == {"a"})
    layer.groups.clear()

    layer.inbox.put_nowait(ConnectionError("restarted"))

    await eventually(lambda: layer.groups == {"a"} and receiver.gaps == 1)
    layer.inbox.put_nowait({"type": "x"})
    await eventually(lambda: receiver.messages == [{"type": "x"}])


async def test_joining_again_is_bounded_whatever_the_layer_does(
    layer: Layer, subscription: Subscription
) -> None:
    for n in range(1000):
        subscription.join(f"group-{n}")
    await eventually(lambda: len(layer.groups) == 1000)
    layer.frozen, calls = True, layer.calls

    async with asyncio.timeout(2):
        await subscription.rejoin()

    assert layer.calls == calls + 1


async def test_a_receiver_that_raises_ends_no_subscription(
    layer: Layer, subscription: Subscription, receiver: Receiver
) -> None:
    def broken() -> None:
        raise RuntimeError("a bug in the receiver")

    receiver.react = broken
    layer.inbox.put_nowait({"type": "bad"})
    await eventually(lambda: receiver.gaps == 1)
    receiver.react = lambda: None
    layer.inbox.put_nowait({"type": "good"})

    await eventually(lambda: receiver.messages == [{"type": "good"}])


async def test_a_subscription_that_starts_again_has_no_old_groups(
    layer: Layer, subscription: Subscription, receiver: Receiver
) -> None:
    subscription.join("a")
    await eventually(lambda: layer.groups == {"a"})
    await subscription.stop()
    layer.groups.clear()

    subscription.start()
    subscription.join("b")
    layer.inbox.put_nowait({"type": "x"})

    await eventually(lambda: layer.groups == {"b"} and receiver.messages)


async def test_nothing_is_left_running(layer: Layer, receiver: Receiver) -> None:
    before = asyncio.all_tasks()
    made = Subscription("test", receiver.on_message, receiver.on_gap)
    made.start()
    made.join("a")
    await eventually(lambda: layer.groups)

    await made.stop()

    assert asyncio.all_tasks() == before


async def test_a_closed_loop_is_ignored() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    publisher._call_on(loop, lambda: None)
