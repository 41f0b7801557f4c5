"""`manage.py denoise_worker`: runs jobs in a process of its own until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from denoise_relay import backends
from denoise_relay.conf import RelaySettings, relay_settings
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database, logs, metrics, tuning
from denoise_relay.runtime.executor import enlarge_default_executor
from denoise_relay.worker.supervisor import Supervisor

#: From the first signal to the end, even if something hangs: process managers kill after 10 s.
STOP_SECONDS = 9.0
#: An unhealthy worker ends after this time, so that its process manager starts it again.
UNHEALTHY_SECONDS = 60.0
CHECK_SECONDS = 1.0


def positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


class Command(BaseCommand):
    help = (
        "Run jobs until SIGTERM or Ctrl-C, which hand unfinished ones back to other workers; "
        'the second signal ends it at once. For DENOISE_RELAY["WORKER"] = "external".'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-jobs", type=positive, help="jobs at a time (default: MAX_ACTIVE_JOBS)"
        )
        parser.add_argument(
            "--metrics-port",
            type=positive,
            metavar="PORT",
            help="show this worker's numbers to Prometheus there, on 127.0.0.1",
        )

    def handle(
        self, *args: Any, max_jobs: int | None, metrics_port: int | None, **options: Any
    ) -> None:
        if not logs.logger.hasHandlers():
            # Without any logging configuration a worker would show nothing of what it does.
            logs.logger.addHandler(logging.StreamHandler(self.stderr))
            logs.logger.setLevel(logging.INFO)
        settings = relay_settings()
        if max_jobs is not None:
            settings = dataclasses.replace(settings, MAX_ACTIVE_JOBS=max_jobs)
        if metrics_port is not None:
            _show_metrics(metrics_port)
        with asyncio.Runner(loop_factory=tuning.loop_factory()) as runner:
            if not runner.run(_work(settings)):
                raise SystemExit(1)


def _show_metrics(port: int) -> None:
    try:
        metrics.serve(port)  # in a daemon thread, which ends with the process
    except OSError as error:
        raise CommandError(f"--metrics-port {port} cannot be used: {error.strerror}") from error


async def _work(settings: RelaySettings) -> bool:
    """Work until a signal comes. Returns false if the supervisor stayed unhealthy instead."""
    enlarge_default_executor()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _signaled, stop, number)
    supervisor = Supervisor(backends.load(settings), settings)
    await supervisor.start()
    tuning.tune()
    logs.logger.info(
        "Worker %s runs up to %d jobs at a time",
        supervisor.owner,
        supervisor.capacity,
        extra=logs.fields("worker_started", owner=supervisor.owner),
    )
    if not publisher.reaches_others():
        logs.logger.warning(
            "No channel layer connects processes: viewers hear of progress every %g s only. "
            "Configure Redis in CHANNEL_LAYERS.",
            settings.POSITION_CHECK_SECONDS,
            extra=logs.fields("no_shared_layer"),
        )
    try:
        return await _wait_for_signal(supervisor, stop)
    finally:
        await supervisor.stop()
        await asyncio.to_thread(database.close)
        logs.logger.info(
            "Worker %s has stopped",
            supervisor.owner,
            extra=logs.fields("worker_stopped", owner=supervisor.owner),
        )


async def _wait_for_signal(supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """Wait for the signal. Returns false once the supervisor was unhealthy for
    `UNHEALTHY_SECONDS`."""
    loop = asyncio.get_running_loop()
    healthy_at = loop.time()
    while loop.time() - healthy_at < UNHEALTHY_SECONDS:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await stop.wait()
        except TimeoutError:
            if supervisor.healthy:
                healthy_at = loop.time()
        else:
            return True
    logs.logger.critical(
        "Worker %s does not recover and ends",
        supervisor.owner,
        extra=logs.fields("worker_sick", owner=supervisor.owner),
    )
    _end_within(STOP_SECONDS)
    return False


def _signaled(stop: asyncio.Event, number: int) -> None:
    if stop.is_set():
        # Leases expire; the engine's child processes end with their parent.
        os._exit(128 + number)
    stop.set()
    _end_within(STOP_SECONDS)


def _end_within(seconds: float) -> None:
    """End the process after `seconds` at the latest: Python waits at its end for threads, and one
    may hang in a database or on a disk."""
    timer = threading.Timer(seconds, os._exit, args=(1,))
    timer.daemon = True
    timer.start()
