"""What the upload form says: its fields, its files, and the ids of the jobs that it makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.core.files import File
from django.http import HttpRequest

from denoise_relay.access import Viewer
from denoise_relay.jobs import form_tokens, validation

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


def fields_of(request: HttpRequest) -> Fields:
    """The form's fields. Blocking: it parses the body, unless a middleware has done it."""
    form = request.POST
    return Fields(
        upload_id=form.get("upload", ""),
        preset=form.get(PRESET_FIELD, ""),
        excerpt=bool(form.get(EXCERPT_FIELD)),
        form_token=form.get(form_tokens.FIELD, ""),
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
    choices = (fields.preset, str(fields.excerpt))
    # Not by their places in the form: one that was refused may be left out the next time.
    seen: Counter[str] = Counter()
    ids = []
    for content in map(form_tokens.fingerprint, files):
        made_from = ("upload", content, str(seen[content]), *choices)
        ids.append(form_tokens.job_id(viewer, fields.form_token, *made_from))
        seen[content] += 1
    return ids
