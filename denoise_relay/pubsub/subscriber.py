"""Subscribes one part of a process to groups of the channel layer, over one channel.

There is one subscription for the feed and one for the supervisor, never one per job or socket,
because a layer's cost grows with its channels. What the layer loses is read from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from denoise_relay.pubsub import postgres, publisher
from denoise_relay.pubsub.postgres import PostgresSubscription
from denoise_relay.runtime import logs, metrics
from denoise_relay.runtime.background import spawn


def subscription(
    name: str,
    channel: str,
    on_message: Callable[[dict[str, Any]], None],
    on_gap: Callable[[], None],
) -> Subscription | PostgresSubscription:
    """A subscription to what carries the news here (`PUBSUB`). `channel` is PostgreSQL's, where all
    groups are one."""
    if postgres.enabled():
        return PostgresSubscription(name, channel, on_message, on_gap)
    return Subscription(name, on_message, on_gap)


#: After a failure of the layer, before it is used again.
RETRY_SECONDS = 1.0
#: For one call of the layer.
TIMEOUT_SECONDS = 5.0


class Subscription:
    """Calls `on_message` for each message of the joined groups, and `on_gap` when messages may
    have been lost. Without a layer that processes share it does nothing."""

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
        #: In the order of joining, which is that of joining again.
        self._groups: dict[str, None] = {}
        #: Groups that were joined or left, and the layer does not know.
        self._changed: dict[str, None] = {}
        self._applying = False
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Receive messages, on the running loop, until `stop`."""
        if self._layer is not None:
            self._spawn(self._listen(), f"{self._name}-listen")

    async def stop(self) -> None:
        """Receive no more and wait for the calls in flight to end. May be repeated, and followed
        by `start`, after which there is no group."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A layer forgets a channel whose receive is cancelled.
        self._channel = ""
        self._groups.clear()
        self._changed.clear()

    def join(self, group: str) -> None:
        """Receive a group's messages soon; returns before the layer has answered. May be
        repeated."""
        if group not in self._groups:
            self._groups[group] = None
            self._apply_soon(group)

    def leave(self, group: str) -> None:
        """Receive a group's messages no more; returns before the layer has answered. May be
        repeated."""
        if group in self._groups:
            del self._groups[group]
            self._apply_soon(group)

    async def rejoin(self) -> None:
        """Join all groups again: a restarted Redis has lost them, and memberships expire
        (`group_expiry`). A layer ignores a join that it has already.

        Stops at the first failure, and takes bounded time: a frozen Redis must not block the
        periodic caller.
        """
        deadline = asyncio.get_running_loop().time() + TIMEOUT_SECONDS
        for group in list(self._groups):
            if not await self._apply(group) or asyncio.get_running_loop().time() > deadline:
                return

    def _apply_soon(self, group: str) -> None:
        if self._channel:  # else `_listen` joins all groups once it has its channel
            self._changed[group] = None
            if not self._applying:
                self._applying = True
                self._spawn(self._apply_changed(), f"{self._name}-group")

    async def _apply_changed(self) -> None:
        """One after the other: a thousand viewers who come at once would wait for each other at
        the layer's lock, and most of their joins time out."""
        try:
            while self._changed:
                group = next(iter(self._changed))
                del self._changed[group]
                if not await self._apply(group):
                    self._changed.clear()  # what is not joined, `rejoin` tries again
        finally:
            self._applying = False

    async def _apply(self, group: str) -> bool:
        """Join or leave, as is wanted now: calls of `join` and `leave` may have overtaken this.

        Returns false when the layer failed.
        """
        if self._layer is None or not self._channel:
            return False
        verb = "group_add" if group in self._groups else "group_discard"
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await getattr(self._layer, verb)(group, self._channel)
        except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
            self._log_failure(error)
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
                self._log_failure(error)
                await asyncio.sleep(RETRY_SECONDS)
                await self.rejoin()
                self._on_gap()

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        task = spawn(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _log_failure(self, error: Exception) -> None:
        metrics.LAYER_FAILURES.inc()
        logs.logger.warning(
            "%s lost the channel layer and goes on: %s",
            self._name,
            type(error).__name__,
            extra=logs.fields("layer_failed", subscriber=self._name, error=repr(error)),
        )
