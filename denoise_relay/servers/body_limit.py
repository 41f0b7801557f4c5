"""The answer to a request whose body is too long: the contract's error for API clients, plain
text for others."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpResponse
from django.urls import NoReverseMatch, reverse

from denoise_relay.api import errors
from denoise_relay.exceptions import UploadRejected

MIB = 1024 * 1024


def too_large(path: str, size_bytes: int, limit_bytes: int) -> HttpResponse:
    """The answer to a body of at least `size_bytes` for `path`, which may have a query."""
    if path.partition("?")[0] == _submission():
        return errors.rejected(UploadRejected(code="too_large"), size_bytes)
    text = f"This is larger than the {limit_bytes // MIB} MB that one request may hold.\n"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def _submission() -> str:
    try:
        return reverse("denoise_relay_api:denoise")
    except NoReverseMatch:  # a site without the API
        return ""
