"""Gives a backend what it takes: the recording as it is, or a file of its sound, made once. Of a
damaged recording that is what can be read, for every backend.

What is made is stored, and named in the job's row before the first byte is submitted: a later
runner, a retry and a submission that is searched for send the same bytes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.backends.base import Assignment, Backend, Media
from denoise_relay.exceptions import JobFailed
from denoise_relay.formats import extension_of
from denoise_relay.media import storage
from denoise_relay.models import Job
from denoise_relay.worker import parts

#: A file of sound only is sent if it has at most this share of the recording's bytes.
SMALLER_SHARE: Final = 2 / 3
#: From here on samples are packed, and so many bytes a second are more than sound takes.
LARGE_BYTES: Final = 16 * 1024 * 1024
DENSE_BYTES_PER_SECOND: Final = 64 * 1024
# Conversions at a time, no more than cores: one semaphore for each event loop.
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def prepared(
    job: Job,
    assignment: Assignment,
    backend: Backend,
    *,
    report: Callable[[float, str], None],
    keep: Callable[[str], Awaitable[None]],
) -> Assignment:
    """The assignment with the file that this backend takes.

    `keep` commits the name of a file that was made and stored. Raises `JobFailed` if the recording
    cannot be converted, and what `keep` raises. Without the engine, the recording is sent as it is.
    """
    if job.attempt or job.upstream_id:
        # It was submitted in this form, and may be found under its name.
        return await _made(job, assignment) or _as_it_is(job, assignment, backend)
    media = _known(job, assignment)
    if backend.taken_as(media) is None and not job.container:
        media = await _found(job, assignment)
    taken = None if job.damaged else backend.taken_as(media)
    as_it_is = dataclasses.replace(assignment, extension=taken or assignment.extension)
    smaller = taken is not None and _may_be_smaller(job, media, backend)
    if (taken is not None and not smaller) or not engine.available() or not media.container:
        return as_it_is
    if not job.damaged and parts.needed(job, backend.limits, size_bytes=0):
        return as_it_is  # too long: it is cut into parts, which are FLAC
    if made := await _made(job, assignment):
        return made
    file = await _converted(assignment, _copy_of(media, backend), report)
    if file is None or (smaller and file.stat().st_size > SMALLER_SHARE * job.size_bytes):
        return as_it_is
    name = await asyncio.to_thread(storage.store_result, job, file)
    try:
        await keep(name)
    except Exception:
        await asyncio.to_thread(storage.discard, name)
        raise
    return _of(assignment, file)


def _may_be_smaller(job: Job, media: Media, backend: Backend) -> bool:
    """Whether the sound alone may be worth making."""
    if not backend.sound_only:
        return False
    if media.has_video:
        return True
    if media.codec.startswith("pcm_"):
        return job.size_bytes >= LARGE_BYTES
    # A picture in a music file, or tracks that are not heard.
    dense = job.size_bytes / max(job.duration_seconds or 0.0, 1.0) > DENSE_BYTES_PER_SECOND
    return dense and media.codec in ("aac", "mp3", "opus", "vorbis")


def _copy_of(media: Media, backend: Backend) -> str:
    """The ending of a file with the track as it is that this backend takes; "" if there is none."""
    extension, container = engine.COPIED_AS.get(media.codec, ("", ""))
    if not extension or not backend.sound_only:
        return ""
    copy = Media(extension=extension, container=container, codec=media.codec, has_video=False)
    return extension if backend.taken_as(copy) == extension else ""


def _known(job: Job, assignment: Assignment) -> Media:
    """By the job's row."""
    return Media(
        extension=assignment.extension,
        container=job.container,
        codec=job.codec,
        has_video=job.is_video,
    )


async def _found(job: Job, assignment: Assignment) -> Media:
    """By a look at the file, of which the row says nothing; as `_known` if that fails."""
    known = _known(job, assignment)
    if not engine.available():
        return known
    try:
        probe = await engine.probe(assignment.source)
    except (engine.MediaRejected, engine.EngineUnavailable, engine.EngineCrashed, OSError):
        return known
    return dataclasses.replace(
        known, container=probe.container, codec=probe.codec, has_video=probe.has_video
    )


def _as_it_is(job: Job, assignment: Assignment, backend: Backend) -> Assignment:
    taken = backend.taken_as(_known(job, assignment))
    return dataclasses.replace(assignment, extension=taken or assignment.extension)


async def _made(job: Job, assignment: Assignment) -> Assignment | None:
    """With the file that was made before; None if there is none."""
    name = job.sent.name or ""
    if not name:
        return None
    copy = assignment.workspace / f"sent.{extension_of(name)}"
    try:
        return _of(assignment, await asyncio.to_thread(storage.local_file, name, copy))
    except FileNotFoundError:
        return None


def _of(assignment: Assignment, source: Path) -> Assignment:
    """Raises `FileNotFoundError`."""
    return dataclasses.replace(
        assignment,
        source=source,
        extension=extension_of(source.name),
        size_bytes=source.stat().st_size,
    )


async def _converted(
    assignment: Assignment, copy: str, report: Callable[[float, str], None]
) -> Path | None:
    """The sound of the recording in a file; None where nothing can be converted."""

    def show(pct: float, _message: str) -> None:
        text = _("Converting the recording: %(percent)d%%")
        report(0.0, text % {"percent": pct})

    report(0.0, _("Converting the recording"))
    target = assignment.workspace / "sent"
    try:
        async with _slot():
            made = await engine.convert(assignment.source, target, copy=copy, on_progress=show)
    except engine.MediaRejected as error:
        raise JobFailed(str(error), detail=f"rejected: {error.code}") from error
    except engine.EngineCrashed as error:
        text = _("This recording could not be processed.")
        raise JobFailed(text, detail=error.detail) from error
    except engine.EngineUnavailable:
        return None
    return target.rename(target.with_suffix(f".{made.extension}"))


def _slot() -> asyncio.Semaphore:
    cores = max(1, os.cpu_count() or 1)
    return _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(cores))
