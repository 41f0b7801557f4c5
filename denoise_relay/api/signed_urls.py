"""Signed URLs, with which a recording can be fetched for a while without a key or a session.

The contract returns plain URLs of recordings, so anyone who has such a URL may use it until it
expires. The URL says for which API key it was signed, and each time that it is used, the access
policy is asked whether that key may still see the job.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpRequest
from django.urls import reverse

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.api.auth import viewer_of_key
from denoise_relay.models import ApiKey, Job
from denoise_relay.presentation import Link

#: How long a signed URL works.
LIFETIME_SECONDS = 24 * 60 * 60
# Signatures with another salt, of the same site, are not valid here, nor these elsewhere. A
# change would break all URLs that are in use.
_SALT = "denoise_relay.views.links"


def signature(job_id: UUID, kind: str, key: ApiKey) -> str:
    """The value of `?sig=`: the key's number, the time of signing, and a signature of these, the
    job and kind."""
    signed = TimestampSigner(salt=_SALT).sign(_subject(job_id, kind, key.pk))
    return f"{key.pk}:{signed.removeprefix(_subject(job_id, kind, key.pk) + ':')}"


def job_of_link(job_id: UUID, kind: str, sig: str) -> Job:
    """The job of a signed URL. Blocking.

    Raises `Http404` when the signature is forged or has expired, when there is no such job, and
    when the key for which it was signed may not see it any more or was revoked.
    """
    number, colon, rest = sig.partition(":")
    if colon and ":" not in rest:  # signed by the version before this one, for nobody in particular
        number, rest = "", sig
    signer = TimestampSigner(salt=_SALT)
    try:
        signer.unsign(f"{_subject(job_id, kind, number)}:{rest}", max_age=LIFETIME_SECONDS)
    except BadSignature:  # or its subclass SignatureExpired
        raise Http404("No such job.") from None
    job = access.policy_jobs().filter(pk=job_id).first()
    viewer = _viewer(job, number) if job is not None else None
    if job is None or viewer is None or not access.allowed(viewer, job):
        raise Http404("No such job.")
    return job


def link_builder(request: HttpRequest, key: ApiKey) -> Link:
    """Builds URLs, signed for `key`, at the host that `request` was sent to."""
    origin = request.build_absolute_uri("/").removesuffix("/")

    def link(job_id: UUID, kind: str) -> str:
        path = reverse("denoise_relay_api:audio", args=[job_id, kind])
        return f"{origin}{path}?sig={signature(job_id, kind, key)}"

    return link


def _subject(job_id: UUID, kind: str, key: object) -> str:
    return f"{job_id}.{kind}.{key}" if key else f"{job_id}.{kind}"


def _viewer(job: Job, number: str) -> Viewer | None:
    """Whoever the URL was signed for, as they are now; None if their key was revoked."""
    if number:
        key = access.key_now(number)
        return None if key is None else viewer_of_key(key)
    # One of the keys of whoever brought the job.
    owner = job.owner if job.owner is not None and job.owner.is_active else AnonymousUser()
    return Viewer(user=owner, api_key=access.usable(job.api_key))
