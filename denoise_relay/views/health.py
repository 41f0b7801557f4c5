"""Is this process alive, and ready for traffic? Plain, open to all, and without secrets."""

from __future__ import annotations

import asyncio
import contextvars

from django.db import Error as DatabaseFailure
from django.db import connections, router
from django.http import HttpRequest, HttpResponse, JsonResponse

from denoise_relay import db, log
from denoise_relay.models import Job
from denoise_relay.worker import embedded

DATABASE_SECONDS = 2.0


async def live(request: HttpRequest) -> HttpResponse:
    """GET /healthz/live: 200 for as long as the event loop turns. Touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


async def ready(request: HttpRequest) -> JsonResponse:
    """GET /healthz/ready: 200, or 503 with the part that failed (`database`, `worker`)."""
    parts = {"database": await _database_answers(), "worker": embedded.healthy()}
    answer = {name: "ok" if good else "failed" for name, good in parts.items()}
    return JsonResponse(
        answer,
        status=200 if all(parts.values()) else 503,
        headers={"Cache-Control": "no-store"},
    )


_question: asyncio.Task[bool] | None = None


async def _database_answers() -> bool:
    global _question
    loop = asyncio.get_running_loop()
    if _question is None or _question.done() or _question.get_loop() is not loop:
        # One at a time, kept beyond its time limit: probes come every few seconds, and must
        # not pile up in the threads behind a database that hangs.
        _question = loop.create_task(
            _ask_database(), name="denoise-ready", context=contextvars.Context()
        )
    done, _pending = await asyncio.wait({_question}, timeout=DATABASE_SECONDS)
    return bool(done) and _question.result()


async def _ask_database() -> bool:
    """Ask in the event path's own threads, which is where a database must answer for us."""
    try:
        await db.call(_select_one)
    except DatabaseFailure as error:
        log.logger.warning(
            "Not ready: the database does not answer: %s",
            type(error).__name__,
            extra=log.fields("database_failed", error=repr(error)),
        )
        return False
    return True


def _select_one() -> None:
    with connections[router.db_for_read(Job)].cursor() as cursor:
        cursor.execute("SELECT 1")
