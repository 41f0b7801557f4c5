"""A job as pages and JSON show it: links, words, names. Reads rows, writes none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.translation import gettext as _

from denoise_relay import wire
from denoise_relay.events import Stage
from denoise_relay.models import Job, StatusChoices

SHARED_SOCKET = "/ws/denoise/"
"""Watches many jobs; `routing` has the same path."""
UNPLAYABLE = frozenset({"avi"})
"""Formats that no browser plays; for others, the `error` event of the player tells."""


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

    passed_through = not job.result and _is_web_address(job.result_url)
    return JobLinks(
        page=path("job"),
        status=path("status"),
        events=path("events"),
        socket=f"{SHARED_SOCKET}{job.pk}/",
        original=path("audio", "original"),
        denoised=job.result_url if passed_through else path("audio", "denoised"),
        download=f"{path('audio', 'denoised')}?download=1",
        cancel=path("cancel"),
        retry=path("retry"),
    )


def _is_web_address(url: str) -> bool:
    """An upstream's text becomes a link only when it is one (never `javascript:`)."""
    return urlsplit(url).scheme in ("http", "https")


def status_of(job: Job, at: datetime | None = None) -> dict[str, Any]:
    """The body of the status endpoint. `at` is when its newest event was committed; times are
    ISO 8601 in UTC, `duration_seconds` may be null, `url` is null until the job is done."""
    links = links_of(job)
    return {
        "job": str(job.pk),
        "status": job.status,
        "seq": job.seq,
        "stage": job.stage,
        "pct": wire.number(job.pct),
        "message": job.message,
        "url": links.denoised if job.stage == Stage.DONE else None,
        "at": wire.timestamp(at or job.finished_at or job.created_at),
        "file_name": job.file_name,
        "created_at": wire.timestamp(job.created_at),
        "finished_at": wire.timestamp(job.finished_at) if job.finished_at else None,
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
