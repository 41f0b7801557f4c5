"""What publishing costs, in counts: messages for each commit, encodings for each frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from denoise_relay import frames
from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.pubsub import messages, postgres, publisher
from denoise_relay.runtime import database
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
#: What the journal writer commits at a time.
GROUP = 500


class Layer:
    """Counts what is asked of it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.joined: list[str] = []
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def new_channel(self) -> str:
        return "channel"

    async def group_add(self, group: str, channel: str) -> None:
        self.joined.append(group)

    async def group_discard(self, group: str, channel: str) -> None:
        self.joined.remove(group)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.sent.append((group, message))

    async def receive(self, channel: str) -> dict[str, Any]:
        return await self.inbox.get()


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    made = Layer()
    monkeypatch.setattr(publisher, "shared_layer", lambda: made)
    monkeypatch.setattr(publisher, "_paused_until", 0.0)
    return made


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[object]]:
    """Count the calls of a function of a module."""

    def counted(module: Any, name: str) -> list[object]:
        calls: list[object] = []
        original = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, call)
        return calls

    return counted


def events(number: int) -> list[Event]:
    now = datetime.now(UTC)
    return [
        Event(
            job=uuid4(), seq=1, stage=Stage.PROCESSING, pct=1.0, message="Isolating voice", at=now
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize(("jobs", "most"), [(1, 1), (2, 2), (3, 1), (300, 1), (GROUP, 2)])
async def test_layer_messages_of_a_commit(layer: Layer, jobs: int, most: int) -> None:
    await publisher.publish(events(jobs))
    await publisher.sent()

    assert 1 <= len(layer.sent) <= most


async def test_layer_messages_of_many_commits_in_a_row(layer: Layer) -> None:
    """Published while messages are on their way: they go together."""
    for _ in range(GROUP):
        await publisher.publish(events(1))
    await publisher.sent()

    assert sum(message["frame"].count("\n") + 1 for _, message in layer.sent) == GROUP
    assert len(layer.sent) <= 5


async def test_a_frame_is_encoded_once_for_all(
    layer: Layer, count: Callable[[Any, str], list[object]]
) -> None:
    """For several feeds, all their viewers, and other processes."""
    encoded = count(frames, "to_json")
    got: list[Frame] = []
    detach = [publisher.attach_feed(lambda some: got.extend(some)) for _ in range(3)]
    try:
        await publisher.publish(events(20))
    finally:
        for each in detach:
            each()

    assert (len(got), len(encoded)) == (60, 20)


async def test_a_feed_is_called_once_for_a_commit() -> None:
    calls: list[Sequence[Frame]] = []
    detach = publisher.attach_feed(calls.append)
    try:
        await publisher.publish(events(20))
    finally:
        detach()

    assert [len(call) for call in calls] == [20]


async def test_nothing_is_encoded_for_nobody(count: Callable[[Any, str], list[object]]) -> None:
    """A worker on PostgreSQL has encoded the events in the transaction that commits them."""
    encoded = count(frames, "to_json")

    await publisher.publish(events(20))

    assert encoded == []


@pytest.mark.postgres
async def test_notifications_of_a_commit(
    settings: Settings, count: Callable[[Any, str], list[object]]
) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "PUBSUB": "postgresql"}
    notified, encoded = count(postgres, "notify"), count(frames, "to_json")
    some = events(GROUP)

    def commit() -> None:
        with transaction.atomic():
            postgres.notify_events(connection.alias, some)

    await database.call(commit)
    await publisher.publish(some)

    ((_, _, payloads),) = notified  # type: ignore[misc]
    assert len(payloads) <= GROUP / 30  # type: ignore[has-type]
    assert len(encoded) == GROUP


async def test_what_nobody_watches_here_is_not_decoded(
    layer: Layer, count: Callable[[Any, str], list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = events(GROUP)
    await publisher.publish(sent)
    await publisher.sent()
    monkeypatch.setattr(messages, "_sender", lambda: "another process")
    decoded = count(messages, "parse_frame")
    feed, box = Feed(), Mailbox()
    feed.start()
    try:
        feed.watch(sent[-1].job, box)
        for _, message in layer.sent:
            layer.inbox.put_nowait(message)
        async with asyncio.timeout(5):
            (frame,) = await box.take()
    finally:
        await feed.stop()

    assert (frame.job, len(decoded)) == (sent[-1].job, 1)


async def test_a_watch_is_one_join_and_a_second_viewer_none(layer: Layer) -> None:
    jobs = [uuid4() for _ in range(10)]
    feed = Feed()
    feed.start()
    try:
        await eventually(lambda: feed._subscription._channel)  # type: ignore[union-attr]
        for job in [*jobs, *jobs]:
            feed.watch(job, Mailbox())
        await eventually(lambda: len(layer.joined) >= 11)
        joined = list(layer.joined)
    finally:
        await feed.stop()

    groups = [messages.ALL_JOBS, *(messages.job_group(job) for job in jobs)]
    assert joined == groups
