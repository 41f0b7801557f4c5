"""What the upload form says: its fields, its files, and the ids of the jobs that it makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.core.files import File
from django.http import HttpRequest
from django.utils.translation import gettext as _

from denoise_relay.access import Viewer
from denoise_relay.jobs import form_tokens, options, validation
from denoise_relay.jobs.options import Options

FIELD = "audio"
PRESET_FIELD = "preset"
EXCERPT_FIELD = "excerpt"


class Fields(NamedTuple):
    """What a form says besides its files."""

    #: Of a resumable upload; "" if there is none.
    upload_id: str
    preset: str
    excerpt: bool
    form_token: str
    max_attenuation_db: str
    loudness_lufs: str

    def options(self) -> Options:
        """Raises `UploadRejected`."""
        return options.parsed(self.max_attenuation_db, self.loudness_lufs)


class Choice(NamedTuple):
    """A value of a field, and what people call it."""

    value: str
    label: str


class OptionField(NamedTuple):
    """A field of the form from which people choose one option of `jobs.options`."""

    name: str
    label: str
    about: str
    #: The first one changes nothing.
    choices: Sequence[Choice]
    chosen: str


def fields_of(request: HttpRequest) -> Fields:
    """The form's fields. Blocking: it parses the body, unless a middleware has done it."""
    form = request.POST
    return Fields(
        upload_id=form.get("upload", ""),
        preset=form.get(PRESET_FIELD, ""),
        excerpt=bool(form.get(EXCERPT_FIELD)),
        form_token=form.get(form_tokens.FIELD, ""),
        max_attenuation_db=form.get(options.STRENGTH, ""),
        loudness_lufs=form.get(options.LOUDNESS, ""),
    )


def option_fields(request: HttpRequest) -> Sequence[OptionField]:
    """The options that the form offers, as they were chosen in the request; none where options
    are not offered."""
    if not options.offered():
        return ()
    return (
        OptionField(
            name=options.STRENGTH,
            label=_("Noise removal"),
            about=_("Some noise left behind sounds more natural than none."),
            choices=(
                Choice("", _("Everything")),
                Choice("24", _("Strong (24 dB)")),
                Choice("12", _("Gentle (12 dB)")),
                Choice("6", _("Light (6 dB)")),
            ),
            chosen=request.POST.get(options.STRENGTH, ""),
        ),
        OptionField(
            name=options.LOUDNESS,
            label=_("Loudness"),
            about=_("Brings quiet and loud recordings to one level."),
            choices=(
                Choice("", _("As recorded")),
                Choice("-16", _("Podcast (-16 LUFS)")),
                Choice("-23", _("Broadcast (-23 LUFS)")),
            ),
            chosen=request.POST.get(options.LOUDNESS, ""),
        ),
    )


def files_of(request: HttpRequest) -> Sequence[File[bytes]]:
    """The uploaded files, or the sample. Blocking, as `fields_of` is."""
    if request.POST.get("sample"):
        return [validation.sample()]
    return request.FILES.getlist(FIELD)


def job_ids(files: Sequence[File[bytes]], viewer: Viewer, fields: Fields) -> list[UUID | None]:
    """The id of each file's job (`jobs.form_tokens`); None without a token. Reads the files."""
    if not fields.form_token:
        return [None] * len(files)
    chosen = fields.max_attenuation_db, fields.loudness_lufs
    choices = (fields.preset, str(fields.excerpt), *chosen)
    # Not by their places in the form: one that was refused may be left out the next time.
    seen: Counter[str] = Counter()
    ids = []
    for content in map(form_tokens.fingerprint, files):
        made_from = ("upload", content, str(seen[content]), *choices)
        ids.append(form_tokens.job_id(viewer, fields.form_token, *made_from))
        seen[content] += 1
    return ids
