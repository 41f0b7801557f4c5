"""A channel layer and a receiver for the tests of publishing and subscribing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Layer:
    """A channel layer that fails or freezes as a test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.groups: set[str] = set()
        self.inbox: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self.frozen = False
        self.error: Exception | None = None
        self.calls = 0

    async def _do(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if self.frozen:
            await asyncio.Event().wait()

    async def new_channel(self) -> str:
        return "test.channel"

    async def group_add(self, group: str, channel: str) -> None:
        await self._do()
        self.groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._do()
        self.groups.discard(group)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._do()
        self.sent.append((group, message))

    async def receive(self, channel: str) -> dict[str, Any]:
        message = await self.inbox.get()
        if isinstance(message, Exception):
            raise message
        return message


class Receiver:
    """Keeps what a subscription calls it with."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gaps = 0
        self.react: Callable[[], None] = lambda: None

    def on_message(self, message: dict[str, Any]) -> None:
        self.react()
        self.messages.append(message)

    def on_gap(self) -> None:
        self.gaps += 1
