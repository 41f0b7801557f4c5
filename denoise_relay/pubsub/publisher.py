"""Publishes committed events, and the news that a job waits for a worker.

Receivers in this process (`live.feed`, `worker.supervisor`) are called directly; other processes
get messages through the channel layer, with the encoded frames in them (`messages`), or from
PostgreSQL (`postgres`). A message is a hint: it may be lost, doubled or late, and receivers then
read the journal, which is the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer
from django.db import Error as DatabaseFailure
from django.db import router

from denoise_relay import presentation
from denoise_relay.conf import relay_settings
from denoise_relay.events import Event
from denoise_relay.frames import Frame, make_frame
from denoise_relay.models import Job
from denoise_relay.pubsub import postgres
from denoise_relay.pubsub.messages import Message
from denoise_relay.pubsub.outbox import Outbox
from denoise_relay.runtime import database, logs, metrics

#: For the messages that are sent together.
SEND_TIMEOUT_SECONDS = 2.0
#: How long nothing is sent after the layer froze; position checks repair what is lost.
PAUSE_SECONDS = 5.0
#: Messages sent at a time.
CONCURRENT_SENDS = 50


def frame_of(event: Event, *, rewound: bool = False) -> Frame:
    """Encode an event; the `url` of a stored recording is a path of this site."""
    return make_frame(presentation.with_denoised_url(event), rewound=rewound)


Deliver = Callable[[Sequence[Frame]], None]
Wake = Callable[[], None]
Listener = TypeVar("Listener", bound=Callable[..., None])
# The receivers in this process, each with the loop that it must be called on.
_feeds: dict[Deliver, asyncio.AbstractEventLoop] = {}
_supervisors: dict[Wake, asyncio.AbstractEventLoop] = {}


def attach_feed(deliver: Deliver) -> Callable[[], None]:
    """Call `deliver` on the running loop with the frames of each commit published here. Returns a
    function that ends this and may be called twice."""
    return _attach(_feeds, deliver)


def attach_supervisor(wake: Wake) -> Callable[[], None]:
    """Call `wake` on the running loop when a job may wait. Returns as `attach_feed`."""
    return _attach(_supervisors, wake)


def _attach(
    receivers: dict[Listener, asyncio.AbstractEventLoop], listener: Listener
) -> Callable[[], None]:
    receivers[listener] = asyncio.get_running_loop()

    def detach() -> None:
        receivers.pop(listener, None)

    return detach


def _call_on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if here:
        function(*args)
    else:
        with contextlib.suppress(RuntimeError):  # the receiver's loop has closed
            loop.call_soon_threadsafe(function, *args)


async def publish(events: Sequence[Event]) -> None:
    """Publish the events of one commit, in order. Neither waits for the layer (`sent` does) nor
    raises when it fails."""
    feeds, shared = list(_feeds.items()), shared_layer() is not None
    if not events or not (feeds or shared):
        return  # nobody here could receive them, and others are told by PostgreSQL or by nobody
    frames = [frame_of(event) for event in events]
    for deliver, loop in feeds:
        _call_on(loop, deliver, frames)
    if shared:
        _outbox().put(frames)


async def sent() -> None:
    """Return when the layer has taken, or refused, what was published on this loop before."""
    await _outbox().sent()


async def wake() -> None:
    """Wake all supervisors: a job was released."""
    _wake_here()
    if postgres.enabled():
        with contextlib.suppress(DatabaseFailure):
            await database.call(postgres.notify_work, router.db_for_write(Job))
    await _wake_elsewhere()


def _wake_here() -> None:
    for listener, loop in list(_supervisors.items()):
        _call_on(loop, listener)


async def _wake_elsewhere() -> None:
    if shared_layer() is not None:
        _outbox().put_work()
        await sent()  # this may be the last that the loop does


def publish_soon(events: Sequence[Event]) -> None:
    """Publish the events of a job that was queued or canceled, and wake all supervisors. From
    synchronous code, such as `transaction.on_commit`; `postgres` has told others by then."""

    async def both() -> None:
        await publish(events)
        _wake_here()
        await _wake_elsewhere()

    async_to_sync(both)()


def reaches_others() -> bool:
    """Whether what is published here comes to other processes, too."""
    return postgres.enabled() or shared_layer() is not None


def shared_layer() -> BaseChannelLayer | None:
    """The channel layer, if it reaches other processes. None for the in-memory layer, and where
    PostgreSQL carries the news.

    The in-memory one is not used at all: it loses the newest messages of a burst and scans every
    channel at every send.
    """
    if postgres.enabled():
        return None
    layer = get_channel_layer()
    return None if layer is None or isinstance(layer, InMemoryChannelLayer) else layer


_outboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()


def _outbox() -> Outbox:
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _outboxes.get(loop)
    if found is None:
        found = Outbox(_send, lambda: relay_settings().MESSAGES_PER_COMMIT)
        _outboxes[loop] = found
    return found


#: `time.monotonic` until which nothing is sent to the layer.
_paused_until = 0.0


async def _send(messages: Sequence[Message]) -> None:
    """Send messages to groups, if there is a shared layer. Never raises for its failures."""
    global _paused_until
    layer = shared_layer()
    if layer is None or time.monotonic() < _paused_until:
        return
    try:
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            for start in range(0, len(messages), CONCURRENT_SENDS):
                some = messages[start : start + CONCURRENT_SENDS]
                if len(some) == 1:  # the usual case: no task for it
                    await layer.group_send(*some[0])
                else:
                    await asyncio.gather(*(layer.group_send(*message) for message in some))
    except TimeoutError as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        _log_failure(error, len(messages))
    except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
        _log_failure(error, len(messages))


def _log_failure(error: Exception, messages: int) -> None:
    metrics.LAYER_FAILURES.inc()
    logs.logger.warning(
        "The channel layer did not take %d messages: %s",
        messages,
        type(error).__name__,
        extra=logs.fields("publish_failed", messages=messages, error=repr(error)),
    )
