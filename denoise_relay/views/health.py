"""Health checks: is this process alive, and is it ready for traffic? Open to all, no secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import Error as DatabaseFailure
from django.db import connections, router
from django.http import HttpRequest, HttpResponse, JsonResponse

from denoise_relay.models import Job
from denoise_relay.pubsub import publisher
from denoise_relay.pubsub.round_trip import round_trip
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn
from denoise_relay.worker import embedded

#: For all parts, which are checked at the same time. Probes have short time limits themselves.
ANSWER_SECONDS = 2.0


async def live(request: HttpRequest) -> HttpResponse:
    """GET /healthz/live: 200 while the event loop runs. Checks nothing else."""
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

    A check that takes longer continues, and later requests wait for it: probes come every few
    seconds, and when a part hangs, new checks would queue up in the threads or on its locks.
    """

    def __init__(self, check: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        self._check = check
        self._checking: asyncio.Task[bool] | None = None

    async def answer(self) -> bool:
        loop = asyncio.get_running_loop()
        running = self._checking
        if running is None or running.done() or running.get_loop() is not loop:
            running = self._checking = spawn(self._check(), "denoise-ready")
        done, _pending = await asyncio.wait({running}, timeout=ANSWER_SECONDS)
        return bool(done) and running.result()


async def _check_database() -> bool:
    """Query the database from the threads of the event path, which depends on it."""
    try:
        await database.read(_select_one)
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
