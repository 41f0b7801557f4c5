"""Who may see and do what: one policy for page, WebSocket, SSE, JSON, API and media.

What you may not see answers exactly like what does not exist. Sites replace
`default_policy` through `DENOISE_RELAY["ACCESS_POLICY"]`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.utils.module_loading import import_string

from denoise_relay.conf import relay_settings
from denoise_relay.models import ApiKey, Job
from denoise_relay.runtime import database

Action = Literal["view", "change"]
API_KEY_HEADER = "x-api-key"
SESSION_KEY = "denoise_relay_visitor"
"""Where the anonymous visitor's token lies in the session. A token of our own, because
Django changes the session's key at login, and jobs should still be theirs then."""


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who asks: a user (maybe anonymous), a visitor's token, an API key, or several of them."""

    user: AbstractBaseUser | AnonymousUser
    visitor: str = ""
    api_key: ApiKey | None = None


def default_policy(viewer: Viewer, job: Job, action: Action) -> bool:
    """Its owner, the anonymous session or the API key that brought it, the owner's keys, and staff.

    Staff need the model permission of the action: `view_job` or `change_job`.
    """
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
    """Ask the site's policy."""
    policy = import_string(relay_settings().ACCESS_POLICY)
    return bool(policy(viewer, job, action))


def get_job(viewer: Viewer, job_id: UUID, action: Action = "view") -> Job:
    """The job, or `Http404` alike for what is unknown and what is not allowed."""
    job = Job.objects.select_related("owner", "api_key").filter(pk=job_id).first()
    if job is None or not allowed(viewer, job, action):
        raise Http404("No such job.")
    return job


async def aget_job(viewer: Viewer, job_id: UUID, action: Action = "view") -> Job:
    """`get_job` for async code: the policy may use the ORM."""
    return await sync_to_async(get_job)(viewer, job_id, action)


def jobs_of(viewer: Viewer) -> QuerySet[Job]:
    """The viewer's own jobs, newest first (what "my jobs" lists; staff see all in the admin)."""
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
    """Who sends this HTTP request."""
    user = await request.auser() if hasattr(request, "auser") else AnonymousUser()
    visitor = await request.session.aget(SESSION_KEY, "") if hasattr(request, "session") else ""
    key = await api_key_of(request.headers.get(API_KEY_HEADER, ""))
    return Viewer(user=user, visitor=visitor, api_key=key)


async def viewer_of_scope(scope: Mapping[str, Any]) -> Viewer:
    """Who opens this WebSocket; `channels.auth.AuthMiddlewareStack` filled the scope."""
    session: SessionBase | None = scope.get("session")
    header = dict(scope.get("headers", ())).get(API_KEY_HEADER.encode(), b"").decode("latin-1")

    def read() -> Viewer:
        # The session is lazy: reading it may ask the database.
        return Viewer(
            user=scope.get("user") or AnonymousUser(),
            visitor=session.get(SESSION_KEY, "") if session else "",
            api_key=get_api_key(header),
        )

    # Sockets share one thread-sensitive thread, whose dead connection no request would close.
    return await database.call(read)


async def visitor_token(request: HttpRequest) -> str:
    """The anonymous visitor's token, made and kept in the session when there is none."""
    token: str = await request.session.aget(SESSION_KEY, "")
    if not token:
        token = secrets.token_urlsafe(32)
        await request.session.aset(SESSION_KEY, token)
    return token


def upload_owner(viewer: Viewer) -> str:
    """Who alone may go on with an upload: the user, else the visitor of this session.
    Empty for a stranger, who has no uploads."""
    if viewer.user.is_authenticated:
        return f"user {viewer.user.pk}"
    return visitor_owner(viewer.visitor)


def visitor_owner(token: str) -> str:
    """`upload_owner` of an anonymous visitor."""
    return f"visitor {token}" if token else ""


def digest(key: str) -> str:
    """How a key is stored. A plain hash serves: keys are 256 random bits, not passwords."""
    return hashlib.sha256(key.encode()).hexdigest()


def get_api_key(secret: str) -> ApiKey | None:
    """The API key with this secret, or None when it is revoked or its user is no longer active."""
    if not secret:
        return None
    query = ApiKey.objects.select_related("user")
    key = query.filter(digest=digest(secret), revoked_at=None).first()
    return key if key is not None and (key.user is None or key.user.is_active) else None


async def api_key_of(secret: str) -> ApiKey | None:
    """`get_api_key` for async code of a request."""
    return await sync_to_async(get_api_key)(secret)


def create_api_key(name: str, user: AbstractBaseUser | None = None) -> str:
    """Make an API key and return its secret, which is shown this once."""
    secret = f"dr_{secrets.token_urlsafe(32)}"
    ApiKey.objects.create(name=name, user=user, digest=digest(secret))  # type: ignore[misc]
    return secret
