"""`{% denoise_job job %}`, `{% denoise_assets %}` and the filters our own templates use.

{% load denoise_relay %}
<head>… {% denoise_assets %}</head>
… {% denoise_job job %} …
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from django import template
from django.template.context import Context
from django.utils import timezone
from django.utils.translation import gettext as _

from denoise_relay import presentation
from denoise_relay.backends import presets
from denoise_relay.conf import relay_settings
from denoise_relay.events import Stage
from denoise_relay.formats import UNPLAYABLE
from denoise_relay.jobs import form_tokens
from denoise_relay.models import Job

#: After a job's end, what was measured may come as much later.
ANALYSIS_LATE = timedelta(minutes=2)
#: Noise that is less by fewer dB is not spoken of.
AUDIBLE_DB = 1.0

register = template.Library()


@register.inclusion_tag("denoise_relay/_assets.html")
def denoise_assets() -> dict[str, Any]:
    """The style sheets and the ES module: once per page, in the head. Nothing is inline: a
    Content-Security-Policy of `default-src 'self'` is enough."""
    return {}


@register.inclusion_tag("denoise_relay/_job.html", takes_context=True)
def denoise_job(
    context: Context,
    job: Job,
    variant: Literal["card", "row"] = "card",
    *,
    controls: bool = True,
    title: bool = False,
) -> dict[str, Any]:
    """One job, live: HTML from the server in a `<denoise-job>` element, which keeps it up to date.

    `variant`: `card` has progress, then the player; `row` is one line of a list. `controls`:
    show *Cancel* and *Try again* (the views check the access policy again). `title`: the page
    is about this job, so the document's title shows its progress. Render the page with a
    request, which the forms' CSRF token needs.
    """
    return {
        "job": job,
        "links": presentation.links_of(job),
        "shared_socket": presentation.SHARED_SOCKET,
        "variant": variant,
        "controls": controls,
        "player_mode": _player_mode(job),
        "less_noise": _less_noise(job),
        "form_token": form_tokens.new(),
        "texts": presentation.element_texts(job, title=title),
        "unplayable": job.extension in UNPLAYABLE,
        "done": job.stage == Stage.DONE,
        "failed": job.stage == Stage.ERROR,
        "pct": round(job.pct),
        "other_presets": presets.others(job.preset) if variant == "card" else (),
        # The room for them is there before they are: nothing moves when they are drawn.
        "waveforms": set(job.waveforms.values_list("side", flat=True)) if variant == "card" else (),
        "analysed": job.statistics is not None,
        "grows": _grows(job),
        "request": context.get("request"),
    }


@register.simple_tag
def denoise_formats(job: Job) -> list[dict[str, str]]:
    """What a job's clean recording can be downloaded as (`_downloads.html`): `name`, `label` and
    `hint` of each format."""
    from denoise_relay.media import renditions  # system checks load all template tags

    labels = {
        "flac": ("FLAC", _("Best quality")),
        "wav": ("WAV", _("Best quality, large, for every editor")),
        "mp3": ("MP3", _("Small, plays everywhere")),
        "m4a": ("M4A", _("Small, for phones")),
        "mp4": (_("Video (MP4)"), _("The video with its clean sound")),
        "mkv": (_("Video (MKV)"), _("The video with its clean sound")),
    }
    return [
        {"name": name, "label": labels[name][0], "hint": labels[name][1]}
        for name in renditions.formats(job)
    ]


def _player_mode(job: Job) -> Literal["instrument", "waiting", "plain"]:
    """What the player can count on: what was measured and the file that is compared are there;
    they may come soon; or they will not."""
    if job.statistics:
        return "instrument"
    if job.finished_at is None:
        return "waiting"
    stored = job.result and timezone.now() - job.finished_at < ANALYSIS_LATE
    return "waiting" if stored else "plain"


def _less_noise(job: Job) -> str:
    """By how many dB there is less noise; "" if that is not known or would not be heard."""
    decibels = (job.statistics or {}).get("noise_reduction_db") or 0.0
    return f"{decibels:.0f}" if decibels >= AUDIBLE_DB else ""


@register.filter
def denoise_clock(seconds: float | None) -> str:
    """65.2 → `1:05`."""
    return presentation.clock(seconds)


def _grows(job: Job) -> bool:
    """Whether the clean waveform is known while the job runs."""
    settings = relay_settings()
    return settings.PREVIEW and (job.backend or settings.BACKEND) == "local"
