"""WebSockets: `/ws/denoise/<uuid>/` watches one job, `/ws/denoise/` many."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.http import Http404

from denoise_relay import access
from denoise_relay.conf import relay_settings
from denoise_relay.frames import parse_after, to_json
from denoise_relay.live.shutdown import CloseCode
from denoise_relay.live.websocket import RelayConsumer
from denoise_relay.runtime import database


class NowhereConsumer(RelayConsumer):
    """Closes a socket on any other path under `/ws/`; Channels would answer 500."""

    async def _connect(self) -> None:
        await self.accept()
        await self.close(code=CloseCode.NOT_FOUND)


class JobConsumer(RelayConsumer):
    """Watches the job in the URL; closes with 1000 after its terminal frame."""

    async def on_connected(self) -> None:
        job_id: UUID = self.scope["url_route"]["kwargs"]["job_id"]
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"))
        try:
            after = parse_after(query.get("after", [""])[0])
        except ValueError:
            await self.send_error("after takes a whole number.")
            await self.close(code=CloseCode.BAD_REQUEST)
            return
        try:
            job = await database.POLICIES.read(access.get_job, self.viewer, job_id)
        except Http404:
            await self.close(code=CloseCode.NOT_FOUND)
            return
        await self.watch(job, after)
        if job.pk in self.watcher:
            self.start_sending()

    async def on_finished(self) -> None:
        await self.close(code=CloseCode.FINISHED)


class ManyConsumer(RelayConsumer):
    """Watches what the client asks for: `{"watch": {"<uuid>": after}}`, `{"unwatch": […]}`."""

    async def on_connected(self) -> None:
        self.start_sending()

    async def on_message(self, message: dict[str, Any]) -> None:
        watch, unwatch = message.get("watch"), message.get("unwatch")
        if isinstance(unwatch, list):
            for key in unwatch:
                if (job := _uuid(key)) is not None:
                    self.watcher.unwatch(job)
        limit = relay_settings().MAX_WATCHES
        if isinstance(watch, dict) and len(watch) > limit:
            await self.send_error(f"At most {limit} jobs in one message.")
        elif isinstance(watch, dict):
            for key, after in watch.items():
                if not await self._watch(key, after):
                    return
        if not isinstance(watch, dict) and not isinstance(unwatch, list):
            await self.send_error('Send {"watch": {…}}, {"unwatch": […]} or {"ping": n}.')

    async def _watch(self, key: Any, after: Any) -> bool:
        """Watch one job; returns false when the rest of the message is to be ignored."""
        if after is not None and (
            not isinstance(after, int) or isinstance(after, bool) or not 0 <= after < 2**31
        ):
            await self.send_error("after takes a whole number or null.")
            return False
        job = _uuid(key)
        if job is not None and job in self.watcher:
            return True
        if len(self.watcher) >= relay_settings().MAX_WATCHES:
            await self.send_error(f"At most {relay_settings().MAX_WATCHES} jobs on one socket.")
            return False
        try:
            if job is None:
                raise Http404
            found = await database.POLICIES.read(access.get_job, self.viewer, job)
        except Http404:
            answer = {"job": str(key)[:64], "error": "not_found"}
            await self.send(text_data=to_json(answer))
            return True
        await self.watch(found, after)
        return True


def _uuid(key: Any) -> UUID | None:
    try:
        return UUID(key) if isinstance(key, str) else None
    except ValueError:
        return None
