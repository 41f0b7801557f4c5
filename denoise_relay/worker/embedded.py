"""The embedded worker: a supervisor on the ASGI server's own event loop.

It runs on the loop, not in a thread, so that events for the pages of this process need no other
process and no lock. Recovery does not rely on `stop`: leases expire.
"""

from __future__ import annotations

import asyncio

from denoise_relay import backends
from denoise_relay.conf import relay_settings
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import logs, server_processes
from denoise_relay.worker.supervisor import Supervisor

_supervisor: Supervisor | None = None
_starting: asyncio.Lock | None = None


async def start() -> None:
    """Start this process's supervisor, once. Does nothing where the worker is external."""
    global _supervisor, _starting
    settings = relay_settings()
    if settings.WORKER != "embedded":
        return
    _starting = _starting or asyncio.Lock()
    async with _starting:
        if _supervisor is not None:
            return
        supervisor = Supervisor(backends.load(settings), settings)
        await supervisor.start()
        _supervisor = supervisor
    logs.logger.info(
        "The embedded worker has started",
        extra=logs.fields("embedded_started", owner=supervisor.owner),
    )
    if server_processes.several() and not publisher.reaches_others():
        # The system check says so, too, but a server runs no checks.
        logs.logger.warning(
            "Several server processes embed a worker each, and no channel layer connects them: "
            "viewers hear of jobs in another process every %g s only.",
            settings.POSITION_CHECK_SECONDS,
            extra=logs.fields("no_shared_layer"),
        )


async def stop() -> None:
    """Stop the supervisor, which releases its jobs. May be repeated."""
    global _supervisor, _starting
    supervisor, _supervisor, _starting = _supervisor, None, None
    if supervisor is not None:
        await supervisor.stop()


def healthy() -> bool:
    """Whether the embedded supervisor works. True where the worker is external."""
    if relay_settings().WORKER != "embedded":
        return True
    return _supervisor is not None and _supervisor.healthy
