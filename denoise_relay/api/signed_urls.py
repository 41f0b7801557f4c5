"""Signed URLs, with which a recording can be fetched for a while without a key or a session.

The contract returns plain URLs of recordings, so anyone who has such a URL may use it until it
expires.
"""

from __future__ import annotations

from uuid import UUID

from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.urls import reverse

from denoise_relay.presentation import Link

#: How long a signed URL works.
LIFETIME_SECONDS = 24 * 60 * 60
# Signatures with another salt, of the same site, are not valid here, nor these elsewhere. A
# change would break all URLs that are in use.
_SALT = "denoise_relay.views.links"


def signature(job_id: UUID, kind: str) -> str:
    """The value of `?sig=`: the time of signing, and a signature of that time, the job and kind."""
    signed = TimestampSigner(salt=_SALT).sign(_subject(job_id, kind))
    return signed.removeprefix(_subject(job_id, kind) + ":")


def valid(job_id: UUID, kind: str, sig: str) -> bool:
    """Whether `sig` is a signature of this recording that has not expired."""
    signer = TimestampSigner(salt=_SALT)
    try:
        signer.unsign(f"{_subject(job_id, kind)}:{sig}", max_age=LIFETIME_SECONDS)
    except BadSignature:  # or its subclass SignatureExpired
        return False
    return True


def link_builder(request: HttpRequest) -> Link:
    """Builds signed URLs at the host that `request` was sent to."""
    origin = request.build_absolute_uri("/").removesuffix("/")

    def link(job_id: UUID, kind: str) -> str:
        path = reverse("denoise_relay_api:audio", args=[job_id, kind])
        return f"{origin}{path}?sig={signature(job_id, kind)}"

    return link


def _subject(job_id: UUID, kind: str) -> str:
    return f"{job_id}.{kind}"
