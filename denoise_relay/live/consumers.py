"""WebSockets: `/ws/denoise/<uuid>/` watches one job, `/ws/denoise/` many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.http import Http404

from denoise_relay import access
from denoise_relay.conf import relay_settings
from denoise_relay.frames import parse_after, to_json
from denoise_relay.live import rights
from denoise_relay.live.shutdown import CloseCode
from denoise_relay.live.websocket import RelayConsumer
from denoise_relay.models import Job
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
        else:
            await self.tell_lost()

    async def on_finished(self) -> None:
        await self.close(code=CloseCode.FINISHED)

    async def on_lost(self, job: UUID) -> None:
        await self.close(code=CloseCode.NOT_FOUND)


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
            await self._watch(watch)
        if not isinstance(watch, dict) and not isinstance(unwatch, list):
            await self.send_error('Send {"watch": {…}}, {"unwatch": […]} or {"ping": n}.')

    async def on_lost(self, job: UUID) -> None:
        await self._send_not_found(str(job))

    async def _watch(self, wanted: dict[Any, Any]) -> None:
        """Watch the jobs of one message; the rest of it is ignored after bad input."""
        visible: dict[UUID, Job] | None = None
        for key, after in wanted.items():
            if after is not None and (
                not isinstance(after, int) or isinstance(after, bool) or not 0 <= after < 2**31
            ):
                await self.send_error("after takes a whole number or null.")
                return
            job_id = _uuid(key)
            if job_id is not None and job_id in self.watcher:
                continue
            if len(self.watcher) >= relay_settings().MAX_WATCHES:
                limit = relay_settings().MAX_WATCHES
                await self.send_error(f"At most {limit} jobs on one socket.")
                return
            if visible is None:
                visible = await self._visible(wanted)
                if visible is None:
                    return
            if job_id in visible:
                await self.watch(visible[job_id], after)
            else:
                await self._send_not_found(key)

    async def _visible(self, keys: Iterable[Any]) -> dict[UUID, Job] | None:
        """The jobs that the viewer may see now: what they showed when they came may count no more.

        None after closing the socket, because the session has ended.
        """
        ids = {job_id for key in keys if (job_id := _uuid(key)) and job_id not in self.watcher}
        visible = await database.POLICIES.read(rights.visible_jobs, self.viewer, ids)
        if visible is None:
            await self.close_unknown()
        return visible

    async def _send_not_found(self, key: str) -> None:
        await self.send(text_data=to_json({"job": key[:64], "error": "not_found"}))


def _uuid(key: Any) -> UUID | None:
    try:
        return UUID(key) if isinstance(key, str) else None
    except ValueError:
        return None
