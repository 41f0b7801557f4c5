"""A channel layer that loses, duplicates, delays or corrupts the messages of groups."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

#: The longest delay of a reordered message.
LATE_SECONDS = 1.5

FAULTS = ("all_lost", "half_lost", "duplicated", "reordered", "corrupted")


class FaultyLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # untyped
    """The environment variable `LAYER_FAULT` names the fault: one of `FAULTS`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fault = os.environ["LAYER_FAULT"]
        self._random = random.Random(1)
        self._late: set[asyncio.Task[None]] = set()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        send = self._get_layer().group_send
        match self._fault:
            case "all_lost":
                return
            case "half_lost" if self._random.random() < 0.5:
                return
            case "duplicated":
                await send(group, message)
            case "corrupted":
                for junk in ({"type": "denoise.frame", "frame": "{"}, {"type": "x"}, {"frame": 7}):
                    await send(group, junk)
            case "reordered":
                task = asyncio.create_task(self._send_late(send, group, message), name="late")
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return
        await send(group, message)

    async def _send_late(self, send: Any, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self._random.uniform(0, LATE_SECONDS))
        await send(group, message)
