"""Measures how long the channel layer takes to carry a message from a sender to a receiver."""

from __future__ import annotations

import asyncio
import secrets
import time

from channels.layers import BaseChannelLayer

#: Between two messages. The first may be too early, because the layer answers a join before the
#: server has it.
RESEND_SECONDS = 0.2


async def round_trip(sender: BaseChannelLayer, receiver: BaseChannelLayer, seconds: float) -> float:
    """Send to a group that a new channel of `receiver` has joined; return the seconds that the
    message took.

    The two may be the same layer; two instances have a connection each. Raises `TimeoutError`
    when nothing came within `seconds`, and whatever the layer raises. Leaves nothing behind in
    the layer, unless it fails.
    """
    group = f"denoise.echo.{secrets.token_hex(8)}"
    async with asyncio.timeout(seconds):
        channel = await receiver.new_channel()
        await receiver.group_add(group, channel)
        received = asyncio.create_task(receiver.receive(channel), name="denoise-round-trip")
        try:
            while not received.done():
                begun = time.perf_counter()
                await sender.group_send(group, {"type": "denoise.echo"})
                await asyncio.wait({received}, timeout=RESEND_SECONDS)
            took = time.perf_counter() - begun
        finally:
            await _cancel(received)
        received.result()
        await receiver.group_discard(group, channel)
        await _forget_channel(receiver, channel)
        return took


async def _forget_channel(layer: BaseChannelLayer, channel: str) -> None:
    """Make the layer drop a channel: it does when a waiting receive is cancelled."""
    while True:
        waiting = asyncio.create_task(layer.receive(channel), name="denoise-round-trip-end")
        await asyncio.wait({waiting}, timeout=0)
        if not waiting.done():
            await _cancel(waiting)
            return
        waiting.result()


async def _cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait({task})
