"""The hearing side of the bell: one channel of the channel layer, and the groups it is in.

One per process and purpose (the feed, the supervisor): never one per job or socket,
because the layers' cost grows with channels. What the layer loses, the journal has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from denoise_relay.pubsub import publisher
from denoise_relay.runtime import logs, metrics
from denoise_relay.runtime.background import spawn

RETRY_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0


class Subscription:
    """Calls `on_message` for each message of the joined groups, and `on_gap` when some may
    have been lost. Without a layer between processes it does nothing."""

    def __init__(
        self,
        name: str,
        on_message: Callable[[dict[str, Any]], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._name = name
        self._on_message = on_message
        self._on_gap = on_gap
        self._layer = publisher.shared_layer()
        self._channel = ""
        self._groups: set[str] = set()
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        if self._layer is not None:
            self._spawn(self._listen(), f"{self._name}-listen")

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def join(self, group: str) -> None:
        """Hear a group from soon on. Nobody waits for the layer's answer."""
        self._groups.add(group)
        self._change(group)

    def leave(self, group: str) -> None:
        self._groups.discard(group)
        self._change(group)

    async def rejoin(self) -> None:
        """Join everything again: a restarted Redis has forgotten its groups, and memberships
        expire (`group_expiry`). Layers ignore what they know. Ends at the first failure, and
        in bounded time: a frozen Redis must not hold up who calls this regularly."""
        deadline = asyncio.get_running_loop().time() + TIMEOUT_SECONDS
        for group in list(self._groups):
            if not await self._settle(group) or asyncio.get_running_loop().time() > deadline:
                return

    def _change(self, group: str) -> None:
        if self._channel:  # else `_listen` joins all groups once it has its channel
            self._spawn(self._settle(group), f"{self._name}-group")

    async def _settle(self, group: str) -> bool:
        """Bring the layer to what is wanted now; joins and leaves may have crossed."""
        if self._layer is None or not self._channel:
            return False
        verb = "group_add" if group in self._groups else "group_discard"
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await getattr(self._layer, verb)(group, self._channel)
        except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
            self._complain(error)
            return False
        return True

    async def _listen(self) -> None:
        layer = self._layer
        assert layer is not None  # noqa: S101 - started only with a layer
        while True:
            try:
                if not self._channel:
                    self._channel = await layer.new_channel()
                    await self.rejoin()
                self._on_message(await layer.receive(self._channel))
            except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
                self._complain(error)
                await asyncio.sleep(RETRY_SECONDS)
                await self.rejoin()
                self._on_gap()

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        task = spawn(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _complain(self, error: Exception) -> None:
        metrics.LAYER_FAILURES.inc()
        logs.logger.warning(
            "%s lost the channel layer and goes on: %s",
            self._name,
            type(error).__name__,
            extra=logs.fields("layer_failed", subscriber=self._name, error=repr(error)),
        )
