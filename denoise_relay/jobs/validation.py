"""Validates a file before it becomes a job; error messages are for the person who uploads.

The content is checked by `engine.probe` in a child process with limits: what it reads is taken,
whatever the name says. Where the engine is not installed, only size and extension are checked, and
the backend may reject the file later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.backends import presets
from denoise_relay.conf import relay_settings
from denoise_relay.events import clean_text
from denoise_relay.exceptions import UploadDeferred, UploadRejected
from denoise_relay.formats import AUDIO, KNOWN, MORE_VIDEO, VIDEO, extension_of
from denoise_relay.jobs import waveforms
from denoise_relay.waveform import Peaks

#: Characters of a file name that are kept.
NAME_LIMIT = 255
#: Characters of an unknown preset that are shown.
PRESET_LIMIT = 32
#: File name of the sample, without its extension.
SAMPLE_NAME = "noisy-sample"
#: Probes at a time in one process; each is a child process for about half a second.
PROBES = max(2, os.cpu_count() or 1)
# One semaphore for each event loop: `submit` runs in a loop of its own.
_probe_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidatedFile:
    """What is known about a file that may become a job."""

    name: str
    size_bytes: int
    #: None where the engine is not installed.
    duration_seconds: float | None
    is_video: bool
    #: FFmpeg's names; "" where the engine is not installed.
    container: str = ""
    codec: str = ""
    #: Whether a part of it is missing, and what its header announces, where that is known.
    damaged: bool = False
    announced_seconds: float | None = None
    #: None where it could not be made, or not in time.
    waveform: Peaks | None = None


async def validate(file: File[bytes], name: str | None = None) -> ValidatedFile:
    """Check a file; raises `UploadRejected`. `name` is shown instead of the file's own."""
    display = display_name(name or file.name or "")
    if name and extension_of(display) not in KNOWN:
        # "My talk" for talk.wav becomes "My talk.wav".
        display = display_name(f"{display}.{extension_of(display_name(file.name or ''))}")
    limit = relay_settings().MAX_UPLOAD_BYTES
    size = file.size or 0
    if not size:
        raise UploadRejected(
            _("This file is empty. Choose a recording with sound in it."), code="empty"
        )
    if size > limit:
        raise UploadRejected(
            _("This file is too large: %(size)s. The limit is %(limit)s.")
            % {"size": filesizeformat(size), "limit": filesizeformat(limit)},
            code="too_large",
        )
    extension = extension_of(display)
    probe, waveform = await _probe(file, extension) if engine.available() else (None, None)
    if probe is None:
        if extension not in KNOWN:
            raise _unsupported()
        is_video = extension in VIDEO | MORE_VIDEO
        return ValidatedFile(
            name=display, size_bytes=size, duration_seconds=None, is_video=is_video
        )
    return ValidatedFile(
        name=display,
        size_bytes=size,
        duration_seconds=probe.duration_seconds,
        # By the contract, its list of names says what is a video; of others, the content.
        is_video=extension in VIDEO or (extension not in AUDIO and probe.has_video),
        container=probe.container,
        codec=probe.codec,
        damaged=probe.damaged,
        announced_seconds=probe.announced_seconds or None,
        waveform=waveform,
    )


def _unsupported() -> UploadRejected:
    return UploadRejected(
        _("This kind of file cannot be processed. Use %(formats)s.")
        % {"formats": ", ".join(sorted(ext.upper() for ext in AUDIO | VIDEO))},
        code="unsupported",
    )


def validated_preset(name: str) -> str:
    """The preset that a job gets for which this one was asked; "" asks for the default.

    Raises `UploadRejected` if the backend does not offer it.
    """
    if not name:
        return presets.default_name()
    if presets.is_offered(name):
        return name
    known = ", ".join(preset.name for preset in presets.offered())
    text = (
        _("There is no preset “%(name)s”. There are: %(known)s.")
        if known
        else _("There is no preset “%(name)s”. There is nothing to choose here.")
    )
    shown = clean_text(name, limit=PRESET_LIMIT)
    raise UploadRejected(text % {"name": shown, "known": known}, code="unknown_preset")


async def _probe(file: File[bytes], extension: str) -> tuple[engine.Probe | None, Peaks | None]:
    """The facts and the waveform; None where the engine is installed in part only. Raises
    `UploadRejected`."""
    settings = relay_settings()
    async with _probe_slot(), on_disk(file) as path:
        with tempfile.TemporaryDirectory(prefix="denoise-waveform-") as folder:
            peaks = Path(folder, "peaks") if settings.ANALYSE_RESULTS else None
            try:
                probe = await engine.probe(
                    path,
                    max_duration_seconds=settings.MAX_DURATION_SECONDS,
                    rescue=True,
                    peaks=peaks,
                )
            except engine.EngineUnavailable:
                return None, None  # the backend may reject the file later
            except (engine.MediaRejected, engine.EngineCrashed) as error:
                raise _rejection(error, extension) from error
            return probe, await _waveform(probe, peaks)


def _rejection(
    error: engine.MediaRejected | engine.EngineCrashed, extension: str
) -> UploadRejected:
    if isinstance(error, engine.EngineCrashed):
        # Native code crashed on this file: it is hostile or badly broken.
        return UploadRejected(
            _("This file could not be read. Convert it to WAV or MP3 and try again."),
            code="not_media",
        )
    if error.code == "too_slow":
        # Damaged files are found out in no time; a machine that is busy is not their fault.
        text = _("The server is busy and could not check this file. Try again in a moment.")
        return UploadDeferred(text, code=error.code)
    if error.code == "not_media" and extension not in KNOWN:
        return _unsupported()  # neither its name nor its content is that of a recording
    return UploadRejected(str(error), code=error.code)


async def _waveform(probe: engine.Probe, peaks: Path | None) -> Peaks | None:
    if peaks is None or not probe.samples_per_pixel:
        return None
    try:
        data = await asyncio.to_thread(waveforms.read_peaks, peaks)
    except OSError:
        return None
    return Peaks(
        sample_rate=probe.sample_rate, samples_per_pixel=probe.samples_per_pixel, data=data
    )


def _probe_slot() -> asyncio.Semaphore:
    """Limits the probes at a time: with fifty at once, each would exceed its deadline."""
    return _probe_slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(PROBES))


@contextlib.asynccontextmanager
async def on_disk(file: File[bytes]) -> AsyncIterator[Path]:
    """A path with the file's content; large uploads are on disk already."""
    temporary = getattr(file, "temporary_file_path", None)
    if temporary is not None:
        yield Path(temporary())
        return
    with tempfile.NamedTemporaryFile(prefix="denoise-validation-") as copy:
        path = Path(copy.name)
        await sync_to_async(_copy, thread_sensitive=False)(file, path)
        yield path


def _copy(file: File[bytes], path: Path) -> None:
    file.seek(0)
    with path.open("wb") as target:
        for chunk in file.chunks():
            target.write(chunk)
    file.seek(0)


def display_name(name: str) -> str:
    """The file name as people see it: without folders and control characters, not too long."""
    base = name[-4 * NAME_LIMIT :].replace("\\", "/").rsplit("/", 1)[-1]
    base = clean_text(base, limit=4 * NAME_LIMIT)
    stem, dot, suffix = base.rpartition(".")
    if not dot or len(suffix) >= NAME_LIMIT:
        return base[:NAME_LIMIT] or "recording"
    return f"{stem[: NAME_LIMIT - len(suffix) - 1].rstrip() or 'recording'}.{suffix}"


def sample() -> UploadedFile[bytes]:
    """The noisy sample of this package, as an uploaded file."""
    folder = files("denoise_relay") / "static" / "denoise_relay"
    shipped = next(item for item in folder.iterdir() if item.name.startswith("sample."))
    content = shipped.read_bytes()
    suffix = shipped.name.rpartition(".")[2]
    return UploadedFile(BytesIO(content), name=f"{SAMPLE_NAME}.{suffix}", size=len(content))
