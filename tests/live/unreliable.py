"""A channel layer that loses, doubles, delays and garbles what goes to groups: for tests."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

LATE_SECONDS = 1.5


class UnreliableLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # untyped
    """`UNRELIABLE` names the fault: `deaf`, `half`, `doubled`, `reordered` or `garbled`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fault = os.environ["UNRELIABLE"]
        self._chance = random.Random(1)
        self._late: set[asyncio.Task[None]] = set()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        send = self._get_layer().group_send
        match self._fault:
            case "deaf":
                return
            case "half" if self._chance.random() < 0.5:
                return
            case "doubled":
                await send(group, message)
            case "garbled":
                for junk in ({"type": "denoise.frame", "frame": "{"}, {"type": "x"}, {"frame": 7}):
                    await send(group, junk)
            case "reordered":
                task = asyncio.create_task(self._send_late(send, group, message), name="late")
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return
        await send(group, message)

    async def _send_late(self, send: Any, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self._chance.uniform(0, LATE_SECONDS))
        await send(group, message)
