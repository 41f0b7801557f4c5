"""The bell: tells every process that a job has a new event, or that there is work to claim.

What is sent is a hint with the encoded frame in it. The journal is the truth: a message
may be lost, doubled or late, and receivers (`transport.feed`, `worker.supervisor`) notice.
A receiver in this process is called directly; others hear through the channel layer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer

from denoise_relay import presentation
from denoise_relay.events import Event
from denoise_relay.frames import Frame, make_frame
from denoise_relay.runtime import logs, metrics

WORK_GROUP = "denoise.work"
SEND_TIMEOUT_SECONDS = 2.0
"""For all messages of one call: a frozen Redis must not hold up the recorder."""
SILENCE_SECONDS = 5.0
"""How long the layer is left alone after it froze; position checks repair what is lost."""
CONCURRENT_SENDS = 50


def frame_of(event: Event) -> Frame:
    """Encode an event; the `url` of a stored recording is a path of this site."""
    return make_frame(presentation.with_denoised_url(event))


def job_group(job: UUID) -> str:
    """The channel-layer group of a job (group names allow no colon and under 100 characters)."""
    return f"denoise.job.{job.hex}"


Deliver = Callable[[Frame], None]
Wake = Callable[[], None]
# What listens in this process, each with the loop it must be called on.
_feeds: dict[Deliver, asyncio.AbstractEventLoop] = {}
_supervisors: dict[Wake, asyncio.AbstractEventLoop] = {}


def attach_feed(deliver: Deliver) -> Callable[[], None]:
    """Call `deliver` on the running loop for each frame published here; returns the detacher."""
    _feeds[deliver] = asyncio.get_running_loop()

    def detach() -> None:
        _feeds.pop(deliver, None)

    return detach


def attach_supervisor(wake: Wake) -> Callable[[], None]:
    """Call `wake` on the running loop when there may be work; returns the detacher."""
    _supervisors[wake] = asyncio.get_running_loop()

    def detach() -> None:
        _supervisors.pop(wake, None)

    return detach


def _call_on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if here:
        function(*args)
    else:
        with contextlib.suppress(RuntimeError):  # that loop has closed; nobody listens there
            loop.call_soon_threadsafe(function, *args)


async def publish(events: Sequence[Event]) -> None:
    """Tell everybody about committed events, in order. Never raises for a failing layer."""
    frames = [frame_of(event) for event in events]
    for deliver, loop in list(_feeds.items()):
        for frame in frames:
            _call_on(loop, deliver, frame)
    await _ring(
        [(job_group(frame.job), {"type": "denoise.frame", "frame": frame.text}) for frame in frames]
    )


async def wake() -> None:
    """Tell supervisors that a job was queued, handed back or canceled."""
    for listener, loop in list(_supervisors.items()):
        _call_on(loop, listener)
    await _ring([(WORK_GROUP, {"type": "denoise.work"})])


def publish_soon(events: Sequence[Event]) -> None:
    """`publish` and `wake` from synchronous code, such as `transaction.on_commit`."""

    async def both() -> None:
        await publish(events)
        await wake()

    async_to_sync(both)()


def shared_layer() -> BaseChannelLayer | None:
    """The channel layer, if it reaches other processes; within this one we call directly.

    The in-memory layer is not used at all: it loses the newest messages of a burst and
    scans every channel at every send.
    """
    layer = get_channel_layer()
    return None if layer is None or isinstance(layer, InMemoryChannelLayer) else layer


_silent_until = 0.0


async def _ring(messages: Sequence[tuple[str, dict[str, str]]]) -> None:
    """Send to the layer, if there is one between processes; never raises for its failures."""
    global _silent_until
    layer = shared_layer()
    if layer is None or time.monotonic() < _silent_until:
        return
    try:
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            for start in range(0, len(messages), CONCURRENT_SENDS):
                some = messages[start : start + CONCURRENT_SENDS]
                await asyncio.gather(*(layer.group_send(*message) for message in some))
    except TimeoutError as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        _complain(error, len(messages))
    except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
        _complain(error, len(messages))


def _complain(error: Exception, messages: int) -> None:
    metrics.LAYER_FAILURES.inc()
    logs.logger.warning(
        "The channel layer did not take %d messages: %s",
        messages,
        type(error).__name__,
        extra=logs.fields("publish_failed", messages=messages, error=repr(error)),
    )
