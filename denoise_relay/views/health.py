"""Whether this process is alive, and ready for traffic: open to all, without secrets."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

from django.db import Error as DatabaseFailure
from django.db import connections, router
from django.http import HttpRequest, HttpResponse, JsonResponse

from denoise_relay.models import Job
from denoise_relay.pubsub import publisher
from denoise_relay.pubsub.round_trip import round_trip
from denoise_relay.runtime import database, logs
from denoise_relay.worker import embedded

#: For each part, and all at once: probes come with a short patience of their own.
ANSWER_SECONDS = 2.0


async def live(request: HttpRequest) -> HttpResponse:
    """GET /healthz/live: 200 for as long as the event loop turns. Touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


async def ready(request: HttpRequest) -> JsonResponse:
    """GET /healthz/ready: 200, or 503 with the part that failed: `database`, `layer` (the
    channel layer between processes, if there is one) or `worker` (the embedded one)."""
    database, layer = await asyncio.gather(_database.answer(), _layer.answer())
    parts = {"database": database, "layer": layer, "worker": embedded.healthy()}
    answer = {name: "ok" if good else "failed" for name, good in parts.items()}
    return JsonResponse(
        answer,
        status=200 if all(parts.values()) else 503,
        headers={"Cache-Control": "no-store"},
    )


class _ReadinessCheck:
    """Checks one part: one check at a time, with a time limit for each answer.

    A check that takes longer goes on, and later requests wait for it: they come every few
    seconds, and new checks would pile up in the threads, or on the locks, behind a part that
    hangs.
    """

    def __init__(self, check: Callable[[], Awaitable[bool]]) -> None:
        self._check = check
        self._checking: asyncio.Task[bool] | None = None

    async def answer(self) -> bool:
        loop = asyncio.get_running_loop()
        running = self._checking
        if running is None or running.done() or running.get_loop() is not loop:
            # A fresh context: the probe's request must not lend its thread to a late answer.
            running = self._checking = loop.create_task(
                self._run(), name="denoise-ready", context=contextvars.Context()
            )
        done, _pending = await asyncio.wait({running}, timeout=ANSWER_SECONDS)
        return bool(done) and running.result()

    async def _run(self) -> bool:
        return await self._check()


async def _check_database() -> bool:
    """Ask in the event path's own threads, which is where a database must answer for us."""
    try:
        await database.call(_select_one)
    except DatabaseFailure as error:
        logs.logger.warning(
            "Not ready: the database does not answer: %s",
            type(error).__name__,
            extra=logs.fields("database_failed", error=repr(error)),
        )
        return False
    return True


async def _check_layer() -> bool:
    """Send a message to ourselves through the layer, over the connections that viewers use."""
    layer = publisher.shared_layer()
    if layer is None:
        return True
    try:
        await round_trip(layer, layer, ANSWER_SECONDS)
    except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
        logs.logger.warning(
            "Not ready: the channel layer carries no message: %s",
            type(error).__name__,
            extra=logs.fields("layer_failed", subscriber="denoise-ready", error=repr(error)),
        )
        return False
    return True


_database = _ReadinessCheck(_check_database)
_layer = _ReadinessCheck(_check_layer)


def _select_one() -> None:
    with connections[router.db_for_read(Job)].cursor() as cursor:
        cursor.execute("SELECT 1")
