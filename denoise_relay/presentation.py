"""A job as pages and JSON show it: links, words, names. Reads rows, writes none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from denoise_relay.events import Stage
from denoise_relay.frames import json_number, timestamp
from denoise_relay.models import Job, StatusChoices

#: Path of the WebSocket that watches many jobs; `routing` serves it.
SHARED_SOCKET = "/ws/denoise/"


#: Makes the URL of a recording from the job's id and `original` or `denoised`.
Link = Callable[[UUID, str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLinks:
    """Where everything about one job is; paths on this site."""

    page: str
    status: str
    events: str
    socket: str
    original: str
    denoised: str
    #: The clean recording, saved under the person's own name for it.
    download: str
    cancel: str
    retry: str


def links_of(job: Job) -> JobLinks:
    """The job's addresses; `denoised` is the upstream's own where results are passed through."""

    def path(name: str, *more: str) -> str:
        return reverse(f"denoise_relay:{name}", args=[job.pk, *more])

    return JobLinks(
        page=path("job"),
        status=path("status"),
        events=path("events"),
        socket=f"{SHARED_SOCKET}{job.pk}/",
        original=path("audio", "original"),
        denoised=denoised_url(job.pk, "" if job.result else job.result_url),
        download=f"{path('audio', 'denoised')}?download=1",
        cancel=path("cancel"),
        retry=path("retry"),
    )


def media_path(job_id: UUID, kind: str) -> str:
    """Where this site's pages play a recording; "" in a worker whose URLconf has no pages."""
    try:
        return reverse("denoise_relay:audio", args=[job_id, kind])
    except NoReverseMatch:
        return ""


def denoised_url(job_id: UUID, passed_through: str, link: Link = media_path) -> str:
    """Where the clean recording of a done job is.

    `passed_through` is the upstream's own URL, "" where the recording is stored here; then
    `link` makes the URL. An upstream's text counts only when it is a web address, never
    `javascript:`.
    """
    if urlsplit(passed_through).scheme in ("http", "https"):
        return passed_through
    return link(job_id, "denoised")


def status_of(job: Job, at: datetime | None = None) -> dict[str, Any]:
    """The body of the status endpoint. `at` is when its newest event was committed; times are
    ISO 8601 in UTC, `duration_seconds` may be null, `url` is null until the job is done."""
    links = links_of(job)
    return {
        "job": str(job.pk),
        "status": job.status,
        "seq": job.seq,
        "stage": job.stage,
        "pct": json_number(job.pct),
        "message": job.message,
        "url": links.denoised if job.stage == Stage.DONE else None,
        "at": timestamp(at or job.finished_at or job.created_at),
        "file_name": job.file_name,
        "created_at": timestamp(job.created_at),
        "finished_at": timestamp(job.finished_at) if job.finished_at else None,
        "duration_seconds": job.duration_seconds,
        "original_url": links.original,
    }


def denoised_name(job: Job) -> str:
    """What the clean recording is called when it is saved: the person's name for it, marked."""
    stem, dot, _extension = job.file_name.rpartition(".")
    suffix = (job.result.name or "").rpartition(".")[2] or "wav"
    return f"{stem if dot else job.file_name}-denoised.{suffix}"


def element_texts(job: Job, *, title: bool) -> str:
    """The words that `<denoise-job>` needs while it lives, as JSON; `{…}` are its to fill.

    `title`: the page is about this job, and its title tells how far it is.
    """
    texts: dict[str, Any] = {
        "status": {choice.value: str(choice.label) for choice in StatusChoices},
        "percent": "{percent}",
        # Translators: read aloud while a job runs, e.g. "62%: Running noise reduction".
        "progress": _("{percent}: {message}"),
        "reconnecting": _("Reconnecting…"),
        "gone": _("This recording is no longer available. Reload the page."),
    }
    if title:
        name = job.file_name
        texts["title"] = {
            "processing": "{percent} · " + name,
            "done": f"{StatusChoices.DONE.label} · {name}",
            "error": f"{StatusChoices.ERROR.label} · {name}",
        }
    return json.dumps(texts)


def size(size_bytes: int) -> str:
    """Django's `filesizeformat` without a needless `.0`: 200 MB, 1.8 MB."""
    return re.sub(r"[.,٫]0(?=\D)", "", filesizeformat(size_bytes))


def upload_texts(size_limit: str) -> str:
    """The words that `<denoise-upload>` needs, as JSON; the refusals repeat `intake`'s."""
    return json.dumps(
        {
            "required": _("Choose a recording first."),
            "empty": _("This file is empty. Choose a recording with sound in it."),
            "tooLarge": _("This file is too large. The limit is %(limit)s.")
            % {"limit": size_limit},
            "unsupported": _("This kind of file cannot be processed."),
            "waiting": _("Waiting…"),
            "sending": _("Uploading {percent}"),
            "paused": _("Reconnecting…"),
            "checking": _("Checking the recording…"),
            "accepted": _("Uploaded"),
            "network": _("The upload was interrupted. Check the connection and try again."),
            "failed": _("The server could not take this file. Try again in a moment."),
        }
    )


def clock(seconds: float | None) -> str:
    """65.2 → `1:05`, 3661 → `1:01:01`; empty when unknown. As in the player's script."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
