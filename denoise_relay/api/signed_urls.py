"""Signed links: a recording that can be fetched for a while without a key or a session.

The contract hands out plain URLs, so whoever has such a link may listen until it expires.
"""

from __future__ import annotations

from uuid import UUID

from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.urls import reverse

from denoise_relay.presentation import Link

#: How long a link works.
LIFETIME_SECONDS = 24 * 60 * 60
# A purpose of its own: no other signature of the site opens a recording, nor ours anything else.
_SALT = "denoise_relay.views.links"


def signature(job_id: UUID, kind: str) -> str:
    """What `?sig=` carries: when it was signed, and the signature over that, job and kind."""
    signed = TimestampSigner(salt=_SALT).sign(_subject(job_id, kind))
    return signed.removeprefix(_subject(job_id, kind) + ":")


def valid(job_id: UUID, kind: str, sig: str) -> bool:
    """Whether `sig` opens this recording now."""
    signer = TimestampSigner(salt=_SALT)
    try:
        signer.unsign(f"{_subject(job_id, kind)}:{sig}", max_age=LIFETIME_SECONDS)
    except BadSignature:  # SignatureExpired is one, too
        return False
    return True


def linker(request: HttpRequest) -> Link:
    """Links to the host that `request` was sent to, for any number of recordings."""
    origin = request.build_absolute_uri("/").removesuffix("/")

    def link(job_id: UUID, kind: str) -> str:
        path = reverse("denoise_relay_api:audio", args=[job_id, kind])
        return f"{origin}{path}?sig={signature(job_id, kind)}"

    return link


def _subject(job_id: UUID, kind: str) -> str:
    return f"{job_id}.{kind}"
