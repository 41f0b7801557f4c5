"""Who sends a request and which jobs they may see or change: one policy for pages, WebSockets,
SSE, JSON, the API and recordings.

A job that a viewer may not see gets the same answer as a job that does not exist. Sites
replace `default_policy` through `DENOISE_RELAY["ACCESS_POLICY"]`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.utils.http import is_same_domain
from django.utils.module_loading import import_string

from denoise_relay.conf import relay_settings
from denoise_relay.models import ApiKey, Job
from denoise_relay.runtime import database

Action = Literal["view", "change"]
API_KEY_HEADER = "x-api-key"
#: Session entry that holds the token of an anonymous visitor. The session's own key would not
#: do: Django changes it at login, and a visitor keeps their jobs after that.
SESSION_KEY = "denoise_relay_visitor"


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who sends a request: a user, an anonymous visitor, an API key, or several of them at once."""

    user: AbstractBaseUser | AnonymousUser
    #: Token of this session's anonymous visitor, kept after login; "" when there is none.
    visitor: str = ""
    api_key: ApiKey | None = None

    @property
    def logged_in_user(self) -> AbstractBaseUser | None:
        """The user who is logged in, or None."""
        return self.user if self.user.is_authenticated else None


def default_policy(viewer: Viewer, job: Job, action: Action) -> bool:
    """Allow the owner, the anonymous visitor or API key that submitted the job, the owner's API
    keys, and staff with the model permission of the action (`view_job` or `change_job`)."""
    user = viewer.user
    if user.is_authenticated and job.owner_id is not None and job.owner_id == user.pk:
        return True
    if viewer.visitor and secrets.compare_digest(viewer.visitor, job.visitor):
        return True
    key = viewer.api_key
    if key is not None and (
        key.pk == job.api_key_id or (key.user_id is not None and key.user_id == job.owner_id)
    ):
        return True
    return bool(
        getattr(user, "is_staff", False) and user.has_perm(f"denoise_relay.{action}_job")  # type: ignore[union-attr]
    )


def allowed(viewer: Viewer, job: Job, action: Action = "view") -> bool:
    """Whether the site's policy allows this."""
    policy = import_string(relay_settings().ACCESS_POLICY)
    return bool(policy(viewer, job, action))


def get_job(viewer: Viewer, job_id: UUID, action: Action = "view") -> Job:
    """Return the job; raises the same `Http404` for an unknown job and for a forbidden one."""
    job = Job.objects.select_related("owner", "api_key").filter(pk=job_id).first()
    if job is None or not allowed(viewer, job, action):
        raise Http404("No such job.")
    return job


async def aget_job(viewer: Viewer, job_id: UUID, action: Action = "view") -> Job:
    """`get_job` for async code. In a thread, because the policy may use the ORM."""
    return await sync_to_async(get_job)(viewer, job_id, action)


def jobs_of(viewer: Viewer) -> QuerySet[Job]:
    """The viewer's own jobs, newest first. Staff find all jobs in the admin."""
    mine = Q(pk__in=[])
    if viewer.user.is_authenticated:
        mine |= Q(owner=viewer.user.pk)
    if viewer.visitor:
        mine |= Q(visitor=viewer.visitor)
    if viewer.api_key is not None:
        mine |= Q(api_key=viewer.api_key)
        if viewer.api_key.user_id is not None:
            mine |= Q(owner=viewer.api_key.user_id)
    return Job.objects.filter(mine)


async def viewer_of(request: HttpRequest) -> Viewer:
    """Who sends this HTTP request. Creates no session and no visitor."""
    user = await request.auser() if hasattr(request, "auser") else AnonymousUser()
    visitor = await request.session.aget(SESSION_KEY, "") if hasattr(request, "session") else ""
    key = await aget_api_key(request.headers.get(API_KEY_HEADER, ""))
    return Viewer(user=user, visitor=visitor, api_key=key)


async def viewer_of_scope(scope: Mapping[str, Any]) -> Viewer:
    """Who opens this WebSocket. `channels.auth.AuthMiddlewareStack` must have filled the scope."""
    session: SessionBase | None = scope.get("session")
    header = dict(scope.get("headers", ())).get(API_KEY_HEADER.encode(), b"").decode("latin-1")

    def read() -> Viewer:
        # The session is loaded when it is first read, which may query the database.
        return Viewer(
            user=scope.get("user") or AnonymousUser(),
            visitor=session.get(SESSION_KEY, "") if session else "",
            api_key=get_api_key(header),
        )

    # Not `sync_to_async`: its one thread is shared by all sockets, and no end of a request would
    # close a dead connection there.
    return await database.read(read)


async def with_visitor(request: HttpRequest, viewer: Viewer) -> Viewer:
    """The viewer; an anonymous one gets a visitor token if they have none.

    A new token is stored in the session, so the response sets a session cookie. Call this only
    when the viewer sends a file.
    """
    if viewer.logged_in_user or viewer.visitor:
        return viewer
    token = secrets.token_urlsafe(32)
    await request.session.aset(SESSION_KEY, token)
    return replace(viewer, visitor=token)


def upload_owner(viewer: Viewer) -> str:
    """Identifies who owns an upload and alone may continue it: the user, else the visitor.

    "" for an anonymous viewer without a token, who has no uploads.
    """
    if viewer.logged_in_user:
        return f"user {viewer.logged_in_user.pk}"
    return f"visitor {viewer.visitor}" if viewer.visitor else ""


def digest(key: str) -> str:
    """Hash of a key as it is stored. Needs no salt and no slow hash: keys are 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def get_api_key(secret: str) -> ApiKey | None:
    """The API key with this secret; None when unknown, revoked, or of a user who is inactive."""
    if not secret:
        return None
    query = ApiKey.objects.select_related("user")
    key = query.filter(digest=digest(secret), revoked_at=None).first()
    return key if key is not None and (key.user is None or key.user.is_active) else None


async def aget_api_key(secret: str) -> ApiKey | None:
    """`get_api_key` for async views."""
    return await sync_to_async(get_api_key)(secret)


def create_api_key(name: str, user: AbstractBaseUser | None = None) -> str:
    """Create an API key and return its secret, which cannot be shown again."""
    secret = f"dr_{secrets.token_urlsafe(32)}"
    ApiKey.objects.create(name=name, user=user, digest=digest(secret))  # type: ignore[misc]
    return secret


_DEFAULT_PORTS = {"http": 80, "https": 443}


def same_origin(scope: Mapping[str, Any]) -> bool:
    """True when the `Origin` header names this host and port, or one of `CSRF_TRUSTED_ORIGINS`.

    A client without the header is no browser, so no page can have made it send a cookie.
    Channels' own validator ignores the port and refuses clients without the header.
    """
    headers = dict(scope.get("headers", ()))
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return True
    try:
        # Django's request respects ALLOWED_HOSTS and USE_X_FORWARDED_HOST.
        host = ASGIRequest({**scope, "method": "GET"}, BytesIO()).get_host()
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        here = urlsplit(f"//{host}")
        if parts.hostname == here.hostname and port == (
            here.port or _DEFAULT_PORTS.get(parts.scheme)
        ):
            return parts.scheme in _DEFAULT_PORTS
    except (DisallowedHost, ValueError):
        return False
    return any(
        _trusts(pattern, parts.scheme, parts.netloc) for pattern in settings.CSRF_TRUSTED_ORIGINS
    )


def _trusts(pattern: str, scheme: str, netloc: str) -> bool:
    trusted = urlsplit(pattern.replace("*", "", 1))
    return trusted.scheme == scheme and is_same_domain(netloc, trusted.netloc)
