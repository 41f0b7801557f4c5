"""PostgreSQL carries the news itself: `NOTIFY` in the transaction that makes them, and `LISTEN`.

With `PUBSUB = "postgresql"` a small cluster needs no Redis. A notification is delivered exactly
when its transaction is committed, so an event that is in the journal has been announced, also when
the process died right after. NOTIFY takes a lock at commit that the whole database shares: for
large clusters there is the channel layer.
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import connections, router

from denoise_relay.conf import relay_settings
from denoise_relay.events import Event
from denoise_relay.frames import make_frame
from denoise_relay.models import Job
from denoise_relay.pubsub.messages import pack
from denoise_relay.runtime import logs, metrics
from denoise_relay.runtime.background import spawn
from denoise_relay.runtime.backoff import Backoff

#: The channels: of events, and of the news that a job waits for a worker.
EVENTS: Final = "denoise_relay_events"
WORK: Final = "denoise_relay_work"
#: PostgreSQL takes up to 8,000. What is longer is left to the position check.
PAYLOAD_BYTES: Final = 7900
#: Seconds of silence after which a connection is asked whether it lives, and what it gets for that.
SILENCE_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 5.0


def enabled() -> bool:
    """Whether PostgreSQL carries the news here."""
    return relay_settings().PUBSUB == "postgresql" and _vendor() == "postgresql"


def notify_events(alias: str, events: Sequence[Event]) -> None:
    """Announce events to all processes, when the transaction of the caller is committed."""
    if events and enabled():
        texts = [make_frame(event).text for event in events]
        if len(texts) > relay_settings().MESSAGES_PER_COMMIT:
            texts = pack(texts, PAYLOAD_BYTES)
        notify(alias, EVENTS, [text for text in texts if len(text.encode()) <= PAYLOAD_BYTES])


def notify_work(alias: str) -> None:
    """Wake all supervisors, when the transaction of the caller is committed, or else now."""
    if enabled():
        notify(alias, WORK, [""])


def notify(alias: str, channel: str, payloads: Sequence[str]) -> None:
    """Send payloads, which are delivered in order."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, payload)"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS sent (payload, number) ORDER BY number",
            [channel, list(payloads)],
        )


class PostgresSubscription:
    """Calls `on_message` with `{"frame": payload}` for each notification of a channel, and `on_gap`
    when some may have been lost. `subscriber.Subscription` is the same for the channel layer."""

    def __init__(
        self,
        name: str,
        channel: str,
        on_message: Callable[[dict[str, Any]], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._name, self._channel = name, channel
        self._on_message, self._on_gap = on_message, on_gap
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Receive, on the running loop, until `stop`."""
        self._task = spawn(self._listen(), f"{self._name}-listen")

    async def stop(self) -> None:
        """Receive no more. May be repeated."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def join(self, group: str) -> None:
        """Nothing: every process gets all notifications, and drops what nobody here watches."""

    def leave(self, group: str) -> None:
        """Nothing, as `join`."""

    async def rejoin(self) -> None:
        """Nothing, as `join`."""

    async def _listen(self) -> None:
        backoff = Backoff(base=0.1, cap=5.0)
        while True:
            try:
                await self._listen_once(backoff)
            except Exception as error:  # noqa: BLE001 - the driver's, the network's, Django's
                metrics.LAYER_FAILURES.inc()
                logs.logger.warning(
                    "%s lost PostgreSQL's notifications and goes on: %s",
                    self._name,
                    type(error).__name__,
                    extra=logs.fields("layer_failed", subscriber=self._name, error=repr(error)),
                )
            await asyncio.sleep(backoff.next_delay())

    async def _listen_once(self, backoff: Backoff) -> None:
        # A connection of its own: Django's are not asynchronous. (A pool that lends connections
        # for one transaction, as PgBouncer may, would lose what is listened to.)
        import psycopg
        from psycopg import sql

        wrapper = connections[router.db_for_write(Job)]
        parameters = wrapper.get_connection_params() | {"connect_timeout": int(ANSWER_SECONDS)}
        parameters.pop("cursor_factory", None)  # Django's own, for its own connections
        async with await psycopg.AsyncConnection.connect(
            **parameters, autocommit=True
        ) as connection:
            channel = sql.Identifier(self._channel)
            await connection.execute(sql.SQL("LISTEN {}").format(channel))
            backoff.reset()
            self._on_gap()  # what was sent before this
            while True:
                async for sent in connection.notifies(timeout=SILENCE_SECONDS):
                    self._on_message({"frame": sent.payload})
                # A peer that vanished says nothing, either.
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.execute("SELECT 1")


def _vendor() -> str:
    return connections[router.db_for_write(Job)].vendor
