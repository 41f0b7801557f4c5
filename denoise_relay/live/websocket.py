"""What all our WebSockets share: one mailbox, one pump, one way in and out.

Frames go from the feed's mailbox straight to `send`, past Channels' dispatch, which hops
to a thread for each message. Refusals accept first and then close with 4xxx, because a
browser sees a refused handshake only as 1006.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import msgspec
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseFailure

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.frames import Frame, to_json
from denoise_relay.live import shutdown
from denoise_relay.live.close_codes import CloseCode
from denoise_relay.live.feed import Feed, feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.live.origin import same_origin
from denoise_relay.models import Job
from denoise_relay.runtime import logs
from denoise_relay.runtime.background import spawn

#: Messages that are not understood before the socket is closed.
BAD_INPUT_LIMIT = 3
#: Longest message read from a client: 100 watches take about 5 kB.
INPUT_BYTES = 16 * 1024


class RelayConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """A socket that watches jobs; `consumers` has the kinds that the routes name."""

    channel_layer_alias = "denoise_relay has its own subscription"  # i.e. none per socket

    feed: Feed
    viewer: Viewer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.mailbox = Mailbox()
        #: Newest seq sent of each job that is watched: what comes twice is told apart by it.
        self.sent: dict[UUID, int] = {}
        #: Jobs whose journal is being read, each with its newest live frame meanwhile.
        self.held: dict[UUID, Frame | None] = {}
        self.bad_inputs = 0
        self.closed = False
        self._pump: asyncio.Task[None] | None = None
        shutdown.sockets.add(self)
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Channels runs no disconnect() after an exception or a cancellation.
            shutdown.sockets.discard(self)
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle one message of the client; Channels' own crosses to a thread each time."""
        try:
            match message["type"]:
                case "websocket.connect":
                    await self._connect()
                case "websocket.receive":
                    await self._receive(message)
                case "websocket.disconnect":
                    raise StopConsumer
        except StopConsumer:
            raise
        except DatabaseFailure as error:
            # It is away: the client comes back later, with what it has, and finds it again.
            logs.logger.warning(
                "A socket could not read the database: %s",
                type(error).__name__,
                extra=logs.fields("socket_unavailable", error=repr(error)),
            )
            await self.close(code=CloseCode.GOING_AWAY)
        except OSError:
            # The client has gone, and its disconnect message is behind others in the queue.
            with contextlib.suppress(Exception):
                await self.close(code=CloseCode.BROKEN)
            raise StopConsumer from None
        except Exception:  # noqa: BLE001 - whatever a handler meets, the client hears a close code
            logs.logger.exception(
                "A socket failed", extra=logs.fields("socket_failed", path=self.scope["path"])
            )
            await self.close(code=CloseCode.BROKEN)
            raise StopConsumer from None

    async def send(self, *args: Any, **kwargs: Any) -> None:
        if not self.closed:  # some servers raise for what comes after a close
            await super().send(*args, **kwargs)

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close once; what the client still says is not heard."""
        if not self.closed:
            self.closed = True
            # A plain int: autobahn refuses a subclass of it, such as an enum's member.
            await super().close(code=None if code is None else int(code), reason=reason)

    async def opened(self) -> None:
        """Called once the socket is accepted and `self.viewer` is known."""
        raise NotImplementedError

    async def said(self, message: dict[str, Any]) -> None:
        """Called for each JSON object from the client but pings."""
        await self.complain('Send nothing but {"ping": n} here.')

    async def _connect(self) -> None:
        await self.accept()
        if shutdown.stopping():
            await self.close(code=CloseCode.GOING_AWAY)
            return
        if not same_origin(self.scope):
            await self.close(code=CloseCode.FORBIDDEN_ORIGIN)
            return
        self.viewer = await access.viewer_of_scope(self.scope)
        self.feed = feed()
        await self.opened()

    async def _receive(self, message: dict[str, Any]) -> None:
        if self.closed:
            return
        text = message.get("text") or ""
        if not text or len(text) > INPUT_BYTES:
            await self.complain("Send a JSON object as text, at most 16 KiB.")
            return
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            await self.complain("This is not JSON.")
            return
        if not isinstance(body, dict):
            await self.complain("Send a JSON object.")
        elif "ping" in body:
            ping = body["ping"]
            if isinstance(ping, int | float | str) and len(str(ping)) <= 64:
                await self.send(text_data=to_json({"pong": ping}))
            else:
                await self.complain("ping takes a number.")
        else:
            await self.said(body)

    async def complain(self, detail: str) -> None:
        """Tell the client what was wrong; the third time is the last."""
        self.bad_inputs += 1
        await self.send(text_data=to_json({"error": "bad_request", "detail": detail}))
        if self.bad_inputs >= BAD_INPUT_LIMIT:
            await self.close(code=CloseCode.BAD_REQUEST)

    def start_pump(self) -> None:
        if self._pump is None:
            self._pump = spawn(self._run_pump(), "denoise-socket")

    async def _run_pump(self) -> None:
        try:
            while True:
                for frame in await self.mailbox.take():
                    if frame.job in self.held:
                        self.held[frame.job] = frame
                    else:
                        await self.forward(frame)
        except Exception as error:  # noqa: BLE001 - servers raise their own kinds
            # Most likely the client went between two frames, and its disconnect message is on
            # its way. If not: a silent socket is worse than a closed one.
            logs.logger.info("A socket broke: %r", error, extra=logs.fields("socket_broke"))
            with contextlib.suppress(Exception):
                await self.close(code=CloseCode.BROKEN)

    async def forward(self, frame: Frame) -> None:
        """Send a frame that is news, and stop watching what has ended."""
        sent = self.sent.get(frame.job)
        # A terminal frame is never too old: whoever still watches has not been told.
        if sent is None or (frame.seq <= sent and not frame.terminal):
            return
        self.sent[frame.job] = frame.seq
        await self.send(text_data=frame.text)
        if frame.terminal:
            self.stop_watching(frame.job)
            await self.ended()

    async def ended(self) -> None:
        """Called after a job's terminal frame."""

    def stop_watching(self, job: UUID) -> None:
        self.feed.unwatch(job, self.mailbox)
        self.sent.pop(job, None)

    async def begin(self, job: Job, after: int | None) -> None:
        """Watch a job: first listen, then read the journal, so that nothing falls between."""
        if job.ended and after == job.seq:
            await self.ended()  # it has seen everything
            return
        self.feed.watch(job.pk, self.mailbox)
        # A number beyond the newest (a restored database) counts as none.
        self.sent[job.pk] = after if after is not None and after <= job.seq else 0
        self.held[job.pk] = None
        async for frame in self.feed.replay(job.pk, after):
            await self.forward(frame)
        live = self.held.pop(job.pk)
        if live is not None:
            await self.forward(live)

    async def _leave(self) -> None:
        for job in list(self.sent):
            self.feed.unwatch(job, self.mailbox)
        if self._pump is not None:
            self._pump.cancel()
            # Waited for, not awaited: our own cancellation must not be taken for the pump's.
            await asyncio.wait({self._pump})
