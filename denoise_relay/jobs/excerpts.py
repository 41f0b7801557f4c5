"""*Try 30 seconds first*: a job for the passage with most speech, and then one for the whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from django.core.files import File
from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import validation
from denoise_relay.jobs.validation import ValidatedFile

EXCERPT_SECONDS = 30.0
#: A shorter recording is denoised whole: an excerpt would not save enough.
LEAST_SECONDS = 45.0

#: A quarter of an hour takes about half a minute.
TIMEOUT_SECONDS = 120.0
#: Excerpts that one process cuts at a time. Not the slots of probes: a long recording must not hold
#: up every other upload.
CUTS = max(1, (os.cpu_count() or 1) // 2)
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """An excerpt on disk, for as long as the block of `cut` runs."""

    path: Path
    start_seconds: float
    duration_seconds: float


def available() -> bool:
    """Whether excerpts can be cut here. Cheap."""
    return engine.available()


@contextlib.asynccontextmanager
async def cut(file: File[bytes], validated: ValidatedFile) -> AsyncIterator[Cut | None]:
    """Cut the excerpt of a validated file; None if the file is denoised whole: a short one, or a
    damaged one.

    Raises `UploadRejected`, with `no_excerpt` where the engine is not installed.
    """
    if not available():
        raise UploadRejected(_("Excerpts cannot be made here. Send it whole."), code="no_excerpt")
    if (
        validated.duration_seconds is None
        or validated.duration_seconds < LEAST_SECONDS
        or validated.damaged  # what is missing is said of the whole
    ):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="denoise-excerpt-") as folder:
        target = Path(folder, f"excerpt{engine.OUTPUT_SUFFIX}")
        async with _slot(), validation.on_disk(file) as path:
            try:
                found = await engine.excerpt(
                    path, target, seconds=EXCERPT_SECONDS, timeout_seconds=TIMEOUT_SECONDS
                )
            except (engine.MediaRejected, engine.EngineCrashed, engine.EngineUnavailable) as error:
                # The file was found to be good: it took too long, or something broke.
                text = _("No excerpt could be made of this recording. Send it whole.")
                raise UploadRejected(text, code="no_excerpt") from error
        yield Cut(
            path=target,
            start_seconds=found.start_seconds,
            duration_seconds=found.duration_seconds,
        )


def _slot() -> asyncio.Semaphore:
    return _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CUTS))


def excerpt_name(name: str) -> str:
    """The file name of an excerpt: `interview.mp3` → `interview-excerpt.flac`."""
    stem, dot, _suffix = name.rpartition(".")
    return validation.display_name(f"{stem if dot else name}-excerpt{engine.OUTPUT_SUFFIX}")
