"""The rival that most people would build: the consumer that the documentation of Channels shows."""

from __future__ import annotations

import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer


class TutorialConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """Each socket is a member of the group of its route's `job`, and encodes for itself."""

    async def connect(self) -> None:
        self.group = self.scope["url_route"]["kwargs"]["job"].hex
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def job_update(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(event["body"]))
