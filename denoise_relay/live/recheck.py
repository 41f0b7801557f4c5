"""Asks again, while sockets and streams are open, whether their viewers may see what they watch.

Once per `POSITION_CHECK_SECONDS` for each viewer, however many sockets and streams they have:
one query for the jobs of many viewers, and for each viewer those that find out who they are.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error as DatabaseFailure

from denoise_relay.access import Viewer
from denoise_relay.conf import relay_settings
from denoise_relay.live import rights
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn

#: Viewers in one call of a database thread, for which other viewers wait.
VIEWERS_AT_A_TIME = 50


class Watching(Protocol):
    """A socket or stream, as its `Watcher` stands for it."""

    #: None where nobody's rights are to be asked.
    viewer: Viewer | None

    def watched(self) -> Collection[UUID]:
        """The jobs that are watched now."""

    def lose(self, jobs: Iterable[UUID]) -> None:
        """Watch these no more: the viewer may not see them, or they are gone."""

    def end_session(self) -> None:
        """Watch nothing more: the viewer is to come again and say who they are."""


class Recheck:
    """One per process and event loop: get it with `recheck()`."""

    def __init__(self) -> None:
        self._watching: set[Watching] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, watching: Watching) -> None:
        """Ask about this socket or stream from now on. May be repeated."""
        self._watching.add(watching)
        if self._task is None:
            self._task = spawn(self._run(), "denoise-recheck")

    def discard(self, watching: Watching) -> None:
        """Ask no more. May be repeated."""
        self._watching.discard(watching)
        if not self._watching and self._task is not None:
            self._task.cancel()
            self._task = None

    async def check_now(self) -> None:
        """Ask for all viewers. After a database error the rest is asked the next time."""
        by_viewer: dict[Viewer, list[Watching]] = defaultdict(list)
        for watching in self._watching:
            if watching.viewer is not None:
                by_viewer[watching.viewer].append(watching)
        viewers = list(by_viewer)
        for start in range(0, len(viewers), VIEWERS_AT_A_TIME):
            questions: list[tuple[Viewer, set[UUID]]] = []
            for viewer in viewers[start : start + VIEWERS_AT_A_TIME]:
                jobs = {job for watching in by_viewer[viewer] for job in watching.watched()}
                questions.append((viewer, jobs))
            try:
                answers = await database.POLICIES.read(rights.still_visible, questions)
            except DatabaseFailure as error:
                _log_failure(error)
                return
            for (viewer, asked), visible in zip(questions, answers, strict=True):
                for watching in by_viewer[viewer]:
                    if visible is None:
                        watching.end_session()
                    else:
                        # Only what was asked: a job that is watched since then was asked for then.
                        watching.lose(asked.difference(visible))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(relay_settings().POSITION_CHECK_SECONDS)
            try:
                await self.check_now()
            except Exception as error:  # noqa: BLE001 - the next check must come, whatever this was
                _log_failure(error)


def _log_failure(error: Exception) -> None:
    logs.logger.warning(
        "The rights of viewers could not be checked: %s",
        type(error).__name__,
        extra=logs.fields("rights_check_failed", error=repr(error)),
    )


_rechecks: WeakKeyDictionary[asyncio.AbstractEventLoop, Recheck] = WeakKeyDictionary()


def recheck() -> Recheck:
    """Return the running loop's; it runs while somebody watches."""
    return _rechecks.setdefault(asyncio.get_running_loop(), Recheck())
