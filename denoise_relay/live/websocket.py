"""What all our WebSockets share: the handshake, reading messages, sending frames, closing.

Live frames come straight from the feed (`sender`). Channels' dispatch, which changes to a thread
for each message, is not used, and no socket has a channel of a layer. A refused socket is accepted
first and then closed with 4xxx, because a browser sees a refused handshake only as 1006.
"""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import msgspec
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.handlers.asgi import get_script_prefix
from django.db import Error as DatabaseFailure

from denoise_relay.access import Viewer
from denoise_relay.frames import Frame, to_json
from denoise_relay.live import shutdown
from denoise_relay.live.origin import same_origin
from denoise_relay.live.sender import DIRECT_SEND, Sender
from denoise_relay.live.shutdown import CloseCode
from denoise_relay.live.viewers import viewer_of_scope
from denoise_relay.live.watcher import Watcher
from denoise_relay.models import Job
from denoise_relay.presentation import frame_text
from denoise_relay.runtime import logs

#: After this many messages that are not understood the socket is closed.
BAD_INPUT_LIMIT = 3
#: Longest message read from a client: 100 watches take about 5 kB.
INPUT_BYTES = 16 * 1024

#: What of a scope is needed after the connection was made.
KEPT = ("path", "root_path")


class RelayConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels is untyped
    """A socket that watches jobs; `consumers` has the kinds that the routes name."""

    #: Who opened the socket; known from `on_connected` on.
    viewer: Viewer

    @classmethod
    def as_asgi(cls, **initkwargs: Any) -> Any:
        """As Channels' own, without a coroutine that keeps the scope."""

        def application(scope: Any, receive: Any, send: Any) -> Any:
            return cls(**initkwargs)(scope, receive, send)

        return application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.watcher = Watcher()
        self.bad_inputs = 0
        self.closed = False
        self._sender: Sender | None = None
        self.scope, self.base_send = scope, send
        del scope
        shutdown.sockets.add(self.close)
        try:
            # As Channels does it without a layer, but without two more tasks per socket.
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        finally:
            # Channels does not call disconnect() after an exception or a cancellation.
            shutdown.sockets.discard(self.close)
            await self._clean_up()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle one message of the client. Channels' own changes to a thread each time."""
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
            # The database is away: the client reconnects later and says which events it has.
            logs.logger.warning(
                "A socket could not read the database: %s",
                type(error).__name__,
                extra=logs.fields("socket_unavailable", error=repr(error)),
            )
            await self.close(code=CloseCode.GOING_AWAY)
        except OSError:
            # The client has left, and its disconnect message waits behind others in the queue.
            with contextlib.suppress(Exception):
                await self.close(code=CloseCode.BROKEN)
            raise StopConsumer from None
        except Exception:  # noqa: BLE001 - the client gets a close code for every failure
            logs.logger.exception(
                "A socket failed", extra=logs.fields("socket_failed", path=self.scope["path"])
            )
            await self.close(code=CloseCode.BROKEN)
            raise StopConsumer from None

    async def send(self, *args: Any, **kwargs: Any) -> None:
        if not self.closed:  # some servers raise for a message after the close
            await super().send(*args, **kwargs)

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close, once; later messages of the client are ignored."""
        if not self.closed:
            self.closed = True
            # autobahn takes a plain int only, and no IntEnum.
            await super().close(code=None if code is None else int(code), reason=reason)

    async def on_connected(self) -> None:
        """Called once the socket is accepted and `self.viewer` is known."""
        raise NotImplementedError

    async def on_message(self, message: dict[str, Any]) -> None:
        """Called for each JSON object from the client except pings."""
        await self.send_error('Send nothing but {"ping": n} here.')

    async def on_finished(self) -> None:
        """Called after a job's terminal frame."""

    async def on_lost(self, job: UUID) -> None:
        """Called when the viewer may not see a watched job any more."""
        raise NotImplementedError

    async def _connect(self) -> None:
        await self.accept()
        if shutdown.stopping():
            await self.close(code=CloseCode.GOING_AWAY)
            return
        if not same_origin(self.scope):
            await self.close(code=CloseCode.FORBIDDEN_ORIGIN)
            return
        self.viewer = self.watcher.viewer = await viewer_of_scope(self.scope)
        await self.on_connected()
        # Headers and the like take a kilobyte for as long as the socket is open.
        self.scope = {key: self.scope[key] for key in KEPT if key in self.scope}

    async def _receive(self, message: dict[str, Any]) -> None:
        if self.closed:
            return
        text = message.get("text") or ""
        if not text or len(text) > INPUT_BYTES:
            await self.send_error("Send a JSON object as text, at most 16 KiB.")
            return
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            await self.send_error("This is not JSON.")
            return
        if not isinstance(body, dict):
            await self.send_error("Send a JSON object.")
        elif "ping" in body:
            ping = body["ping"]
            if isinstance(ping, int | float | str) and len(str(ping)) <= 64:
                await self.send(text_data=to_json({"pong": ping}))
            else:
                await self.send_error("ping takes a number.")
        else:
            await self.on_message(body)

    async def send_error(self, detail: str) -> None:
        """Tell the client what was wrong with its message; after the third, close."""
        self.bad_inputs += 1
        await self.send(text_data=to_json({"error": "bad_request", "detail": detail}))
        if self.bad_inputs >= BAD_INPUT_LIMIT:
            await self.close(code=CloseCode.BAD_REQUEST)

    async def watch(self, job: Job, after: int | None) -> None:
        """Send what the journal has after `after`; live frames follow (`start_sending`).

        Returns when the journal has been sent. Raises Django's database errors.
        """
        if job.ended and after == job.seq:
            await self.on_finished()  # the client has the terminal frame
            return
        async for frame in self.watcher.watch(job.pk, after):
            await self.send_frame(frame)

    def start_sending(self) -> None:
        """Send live frames from now on. May be repeated."""
        if self._sender is None:
            find_direct = self.scope.pop(DIRECT_SEND, None)
            self._sender = Sender(self, find_direct() if find_direct is not None else None)

    async def tell_lost(self) -> None:
        """Tell the client what it may not watch any more."""
        if self.watcher.session_ended:
            await self.close_unknown()
        while self.watcher.lost:
            await self.on_lost(self.watcher.lost.pop(0))

    async def close_unknown(self) -> None:
        """Close, because the session has ended: a client that comes again shows the cookie that
        it has now, and is answered by that."""
        await self.close(code=CloseCode.GOING_AWAY)

    async def send_frame(self, frame: Frame) -> None:
        """Send any frame, and what follows from it."""
        await self.send(text_data=frame_text(frame, get_script_prefix(self.scope)))
        if frame.terminal:
            await self.on_finished()

    async def _clean_up(self) -> None:
        self.watcher.close()
        if self._sender is not None:
            await self._sender.stop()
