"""Makes downloads when somebody asks for them: each once, some at a time, in child processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

from django.utils.translation import gettext_noop

from denoise_relay import engine
from denoise_relay.conf import relay_settings
from denoise_relay.formats import extension_of
from denoise_relay.media import renditions, storage
from denoise_relay.media.renditions import Rendition
from denoise_relay.media.workspaces import new_folder
from denoise_relay.models import Job
from denoise_relay.runtime import background, database, disk, logs

#: Made at a time, and wanted at a time, by one process.
AT_ONCE: Final = 2
MOST_WANTED: Final = 8
#: How long one may take, without its waiting.
TIMEOUT_SECONDS: Final = 1800.0
#: How long a failure is remembered: a page that reloads itself is told of it, and asks no more.
FAILURE_SECONDS: Final = 60.0
_MOST_FAILURES: Final = 1000
#: Of the largest format for sound.
_BYTES_PER_SECOND: Final = 48_000 * 2 * 3

Key = tuple[UUID, str]


class RenditionFailed(Exception):
    """It cannot be made. `str()` is a sentence for people, not translated."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        #: Of HTTP: 400 another choice may do, 404 it cannot be made here, 500 an error of ours.
        self.status = status


class Busy(Exception):
    """Too many are wanted at a time, or the server stops: later."""


_UNAVAILABLE = gettext_noop("This site cannot make other formats of a recording.")
_GONE = gettext_noop("The recording has been deleted.")
_BROKEN = gettext_noop("This download could not be made. Try again in a while.")


class Renderer:
    """What one process makes."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[str]] = {}
        self._failures: dict[Key, RenditionFailed] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def made(self, job: Job, rendition: Rendition, *, within: float) -> str:
        """The name of the stored file, or "" if it is not there after so many seconds.

        It goes on without its caller, who may be cancelled. Raises `Busy` or `RenditionFailed`.
        """
        key = (job.pk, rendition.kind)
        if failure := self._failures.get(key):
            raise failure
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= MOST_WANTED:
                raise Busy
            task = background.spawn(self._make(job, rendition), f"denoise-rendition-{job.pk}")
            self._tasks[key] = task
            task.add_done_callback(lambda ended: self._on_end(key, ended))
        await asyncio.wait({task}, timeout=within)
        if not task.done():
            return ""
        if task.cancelled():
            raise Busy
        return task.result()

    async def stop(self) -> None:
        """End what is being made. May be repeated."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_end(self, key: Key, task: asyncio.Task[str]) -> None:
        self._tasks.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RenditionFailed) and len(self._failures) < _MOST_FAILURES:
            self._failures[key] = error
            task.get_loop().call_later(FAILURE_SECONDS, self._failures.pop, key, None)

    async def _make(self, job: Job, rendition: Rendition) -> str:
        try:
            async with self._places:
                return await _make(job, rendition)
        except (engine.MediaRejected, engine.EngineUnavailable) as error:
            rejected = isinstance(error, engine.MediaRejected)
            raise RenditionFailed(
                400 if rejected else 404, str(error) if rejected else _UNAVAILABLE
            ) from error
        except FileNotFoundError as error:
            raise RenditionFailed(404, _GONE) from error
        except Exception as error:
            detail = error.detail if isinstance(error, engine.EngineCrashed) else repr(error)
            logs.logger.warning(
                "A download was not made (job %s, %s): %s",
                job.pk,
                rendition.kind,
                detail,
                extra=logs.fields(
                    "rendition_failed", job=str(job.pk), kind=rendition.kind, error=detail
                ),
            )
            raise RenditionFailed(500, _BROKEN) from error


async def _make(job: Job, rendition: Rendition) -> str:
    with new_folder(relay_settings()) as name:
        folder = Path(name)
        largest = max(job.size_bytes, int((job.duration_seconds or 0) * _BYTES_PER_SECOND))
        await asyncio.to_thread(disk.require_room, folder, largest)
        before = await asyncio.to_thread(storage.local_copy, job, folder)
        result = job.result.name or ""
        copy = folder / f"result.{extension_of(result) or 'bin'}"
        after = await asyncio.to_thread(storage.local_file, result, copy)
        target = folder / f"rendition.{rendition.format}"
        await engine.render(
            before,
            after,
            target,
            mix=rendition.percent / 100,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        stored = await asyncio.to_thread(storage.store_result, job, target)
    try:
        kept = await database.call(renditions.record, job.pk, rendition.kind, stored)
    except Exception as error:
        if not isinstance(error, database.LOST):  # otherwise the row may be there
            await asyncio.to_thread(storage.discard, stored)
        raise
    if kept != stored:
        await asyncio.to_thread(storage.discard, stored)
    if not kept:
        raise FileNotFoundError(stored)
    return kept


_renderers: WeakKeyDictionary[asyncio.AbstractEventLoop, Renderer] = WeakKeyDictionary()


def renderer() -> Renderer:
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _renderers.get(loop)
    if found is None:
        found = _renderers[loop] = Renderer()
    return found
