"""Makes forms idempotent: the same form, sent again, finds the job that it made before.

A page puts a random token into each form, and the id of the job is an HMAC of that token, of who
sends it, and of all that the job is made from. A browser that lost the answer sends the same form
once more, which has the same id, and the primary key lets only one of the two make a job. The
same token with another file, or with another preset, is another job; in the hands of somebody
else it is another job, too, and leads to nobody's.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from uuid import UUID

from django.core.files import File

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.jobs import idempotency

#: The hidden field of our forms.
FIELD = "form_token"
_SALT = "denoise_relay.jobs.form_tokens"


def new() -> str:
    """A token for one form of one page."""
    return secrets.token_urlsafe(16)


def job_id(viewer: Viewer, token: str, *made_from: str) -> UUID | None:
    """The id of the job that this viewer's form makes; None without a token.

    `made_from` names everything that makes another job of the same form: its kind, the file, the
    choices.
    """
    if not token:
        return None
    return idempotency.job_id(_SALT, access.upload_owner(viewer), token, *made_from)


def fingerprint(file: File[bytes]) -> str:
    """The name and the content of a file. Reads all of it."""
    digest = hashlib.sha256(json.dumps(file.name or "").encode())
    file.seek(0)
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
