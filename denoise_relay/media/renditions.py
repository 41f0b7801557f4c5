"""The downloads of a job: which there are, and how one is read from a query. Pure but for rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from denoise_relay import engine, presentation
from denoise_relay.conf import relay_settings
from denoise_relay.formats import extension_of
from denoise_relay.lifecycle import Status
from denoise_relay.models import DerivedFile, Job
from denoise_relay.runtime.database import write_transaction

#: Percent. A mix is rounded to the nearest of these, so that few files are made.
STEP: Final = 5
_WHOLE: Final = 100
#: Characters of the longest number that is read.
_LONGEST: Final = 20


class InvalidChoice(ValueError):
    """A format or a mix that there is not; `str()` is a sentence for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendition:
    """The clean recording in a format, mixed with the original."""

    format: str
    #: How much of it is the clean recording, in percent; the rest is the original.
    percent: int = _WHOLE

    @property
    def kind(self) -> str:
        """As in `DerivedFile.kind`."""
        return f"{self.format}-{self.percent / _WHOLE:.2f}"

    def file_name(self, job: Job) -> str:
        """What a browser saves it as: `talk-denoised.mp3`, `talk-denoised-80.mp3`."""
        stem = presentation.denoised_name(job).rpartition(".")[0]
        mix = "" if self.percent == _WHOLE else f"-{self.percent}"
        return f"{stem}{mix}.{self.format}"

    def is_result(self, job: Job) -> bool:
        """Whether that is the result itself, as it is."""
        return self.percent == _WHOLE and extension_of(job.result.name or "") == self.format


def formats(job: Job) -> tuple[str, ...]:
    """What a job's clean recording can be downloaded as, once it is there, the usual ones first;
    none where it is not stored here."""
    stored = bool(job.result) if job.ended else relay_settings().STORE_RESULTS
    if not stored:
        return ()
    if not engine.available():
        return tuple(
            name for name in engine.RENDER_FORMATS if Rendition(format=name).is_result(job)
        )
    # An excerpt has no pictures.
    has_video = job.is_video and not job.whole
    return tuple(
        name for name in engine.RENDER_FORMATS if has_video or name not in engine.VIDEO_FORMATS
    )


def parse(query: Mapping[str, str], job: Job) -> Rendition:
    """The rendition that `?format=mp3&mix=0.8` asks for; FLAC and 1 by default.

    Raises `InvalidChoice`.
    """
    wanted = query.get("format", "flac")
    if wanted not in engine.RENDER_FORMATS:
        names = ", ".join(engine.RENDER_FORMATS)
        raise InvalidChoice(_("There is no such format. Choose one of these: %s.") % names)
    if wanted in engine.VIDEO_FORMATS and (not job.is_video or job.whole):
        raise InvalidChoice(_("This recording has no pictures. Choose a format for sound."))
    return Rendition(format=wanted, percent=_percent(query.get("mix", "1")))


def _percent(text: str) -> int:
    try:
        mix = float(text) if len(text) <= _LONGEST else math.nan
    except ValueError:
        mix = math.nan
    if not 0 <= mix <= 1:
        raise InvalidChoice(_("The mix must be a number from 0 (original) to 1 (clean)."))
    return round(mix * _WHOLE / STEP) * STEP


def record(job: UUID, kind: str, name: str) -> str:
    """Write the row of a stored file; return the file that the job has of this kind, or "" if it
    was deleted meanwhile. Any other file than `name` is another process's. Blocking.
    """
    with write_transaction() as alias:
        jobs = Job.objects.using(alias).filter(pk=job, status=Status.DONE)
        # Locked until the commit, so that nobody deletes it in between, or is here as well.
        if not jobs.select_for_update().exists():
            return ""
        rows = DerivedFile.objects.using(alias)
        row, _created = rows.get_or_create(job_id=job, kind=kind, defaults={"file": name})
        return row.file.name or ""
