"""A job as pages and JSON show it: links, texts, file names. Reads rows, writes none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, get_script_prefix, set_script_prefix
from django.utils.translation import gettext as _

from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame, json_number, make_frame, timestamp
from denoise_relay.models import Job, StatusChoices
from denoise_relay.paths import job_path

#: Path of the WebSocket that watches many jobs; the one for a single job adds the job's id.
#: `routing` builds its routes from it.
SHARED_SOCKET = "/ws/denoise/"

#: Builds the URL of a recording stored here from the job's id and `original` or `denoised`.
Link = Callable[[UUID, str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLinks:
    """The URLs of one job, as paths on this site."""

    page: str
    status: str
    events: str
    socket: str
    original: str
    denoised: str
    #: `denoised` as a download, with a file name made from that of the original.
    download: str
    cancel: str
    retry: str
    #: The question whether to delete it, and where its answer goes.
    delete: str
    #: Denoises the whole recording; "" unless this job is for an excerpt.
    whole: str
    #: What the player needs; each may be missing (404).
    waveform_original: str
    waveform_denoised: str
    #: Segment 0 of the clean recording of a job that runs; the others have its number for the 0.
    preview: str
    #: Both recordings as the channels of one file.
    comparison: str
    spectrogram_original: str
    spectrogram_denoised: str
    statistics: str
    #: The clean recording in the format, and mixed with the original as the query says.
    render: str


def links_of(job: Job) -> JobLinks:
    """The job's URLs. `denoised` is the upstream's own URL where the result is not stored here."""

    def path(name: str, *more: str) -> str:
        return job_path(name, job.pk, *more)

    return JobLinks(
        page=path("job"),
        status=path("status"),
        events=path("events"),
        socket=f"{SHARED_SOCKET}{job.pk}/",
        original=path("audio", "original"),
        denoised=denoised_url(job.pk, upstream_url(job)),
        download=f"{path('audio', 'denoised')}?download=1",
        cancel=path("cancel"),
        retry=path("retry"),
        delete=path("delete"),
        whole=path("whole") if job.whole else "",
        waveform_original=path("waveform", "original"),
        waveform_denoised=path("waveform", "denoised"),
        preview=path("preview", "0"),
        comparison=path("audio", "comparison"),
        spectrogram_original=path("spectrogram", "original"),
        spectrogram_denoised=path("spectrogram", "denoised"),
        statistics=path("statistics"),
        render=path("download"),
    )


def media_path(job_id: UUID, kind: str) -> str:
    """Path of a recording on this site; "" in a worker whose URLconf does not include the pages."""
    try:
        return job_path("audio", job_id, kind)
    except NoReverseMatch:
        return ""


def upstream_url(job: Job) -> str:
    """The upstream's URL of a clean recording that is not stored here; "" if there is none."""
    return "" if job.result else _web_url(job.result_url)


def denoised_url(job_id: UUID, upstream_url: str, link: Link = media_path) -> str:
    """URL of the clean recording of a done job.

    This is `upstream_url` (of the job or of its `done` event) if it is a web URL. Otherwise the
    recording is stored here, and `link` builds the URL.
    """
    return _web_url(upstream_url) or link(job_id, "denoised")


def with_denoised_url(event: Event, link: Link = media_path) -> Event:
    """The event as viewers get it: with the URL of the clean recording if it is `done`."""
    if event.stage is not Stage.DONE:
        return event
    return replace(event, url=denoised_url(event.job, event.url, link))


def frame_text(frame: Frame, prefix: str | None = None) -> str:
    """The frame's text as a viewer gets it: the URL of a recording stored here is built for them.

    The process that published the frame may not know it: a worker may have another URLconf, and
    the path at which a server mounts the site is known in a request or socket only. `prefix` is
    that path, as of a socket; None in a request, where Django has set it.
    """
    event = frame.event
    if event.stage is not Stage.DONE or _web_url(event.url):
        return frame.text
    before = get_script_prefix()
    if prefix is not None:
        set_script_prefix(prefix)
    try:
        return make_frame(with_denoised_url(event), rewound=frame.rewound).text
    finally:
        set_script_prefix(before)


def _web_url(text: str) -> str:
    """The text if it is an http(s) URL, else "": an upstream must not send `javascript:`."""
    return text if urlsplit(text).scheme in ("http", "https") else ""


def status_of(job: Job, at: datetime | None = None) -> dict[str, Any]:
    """The body of the status endpoint.

    `at` is when the job's newest event was committed. Times are ISO 8601 in UTC;
    `duration_seconds` may be null; `url` is null until the job is done. `preset` is "" where there
    was nothing to choose. The options are null where nothing is changed (`jobs.options`).
    """
    links = links_of(job)
    return {
        "job": str(job.pk),
        "status": job.status,
        "seq": job.seq,
        "stage": job.stage,
        "pct": json_number(job.pct),
        "message": job.message,
        "url": links.denoised if job.stage == Stage.DONE else None,
        "warning": job.warning or None,
        "at": timestamp(at or job.finished_at or job.created_at),
        "file_name": job.file_name,
        "created_at": timestamp(job.created_at),
        "finished_at": timestamp(job.finished_at) if job.finished_at else None,
        "duration_seconds": job.duration_seconds,
        "original_url": links.original,
        "preset": job.preset,
        "max_attenuation_db": job.max_attenuation_db,
        "loudness_lufs": job.loudness_lufs,
        "excerpt": excerpt_of(job),
    }


def excerpt_of(job: Job) -> dict[str, Any] | None:
    """Where an excerpt begins in its recording, and how long both are, in seconds; None for a job
    that is for a whole recording."""
    if not job.whole:
        return None
    return {
        "start": job.excerpt_start_seconds,
        "duration": job.duration_seconds,
        "whole": job.whole_duration_seconds,
    }


def denoised_name(job: Job) -> str:
    """File name of the clean recording as a download: the original's, with `-denoised`."""
    stem, dot, _extension = job.file_name.rpartition(".")
    suffix = (job.result.name or "").rpartition(".")[2] or "wav"
    return f"{stem if dot else job.file_name}-denoised.{suffix}"


def element_texts(job: Job, *, title: bool) -> str:
    """The texts that the `<denoise-job>` element shows, as JSON; it fills in the `{…}`.

    `title`: whether the element also updates the title of the page.
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
    """Django's `filesizeformat` without a trailing `.0`: 200 MB, 1.8 MB."""
    return re.sub(r"[.,٫]0(?=\D)", "", filesizeformat(size_bytes))


def upload_texts(size_limit: str) -> str:
    """The texts that the `<denoise-upload>` element shows, as JSON; errors as in `validation`."""
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
    """Format a duration: 65.2 → `1:05`, 3661 → `1:01:01`, None → "". The player's script does the
    same."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
