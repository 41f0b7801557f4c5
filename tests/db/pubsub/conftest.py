"""A channel layer that fails or freezes, as this process's layer, and a subscription to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from denoise_relay.pubsub import publisher, subscriber
from denoise_relay.pubsub.subscriber import Subscription
from tests.db.pubsub.layers import Layer, Receiver


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    made = Layer()
    monkeypatch.setattr(publisher, "shared_layer", lambda: made)
    monkeypatch.setattr(publisher, "_paused_until", 0.0)
    monkeypatch.setattr(publisher, "SEND_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(subscriber, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(subscriber, "RETRY_SECONDS", 0.01)
    return made


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest_asyncio.fixture
async def subscription(layer: Layer, receiver: Receiver) -> AsyncIterator[Subscription]:
    made = Subscription("test", receiver.on_message, receiver.on_gap)
    made.start()
    yield made
    await made.stop()
