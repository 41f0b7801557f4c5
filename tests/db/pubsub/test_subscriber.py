"""Subscribing: groups are joined whatever the channel layer does, and nothing is left running."""

from __future__ import annotations

import asyncio

from denoise_relay.pubsub.subscriber import Subscription
from tests.db.pubsub.layers import Layer, Receiver
from tests.waiting import eventually


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
