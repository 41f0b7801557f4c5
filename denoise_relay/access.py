"""Who sends a request and which jobs they may see or change: one policy for pages, WebSockets,
SSE, JSON, the API and recordings.

A policy may have a filter besides, `policy.filter_jobs(viewer, jobs)`, which returns those of the
viewer's own jobs that they may view, so that lists stay one query. The two must say the same.

A job that a viewer may not see gets the same answer as a job that does not exist. Sites
replace `default_policy` through `DENOISE_RELAY["ACCESS_POLICY"]`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from denoise_relay.conf import relay_settings
from denoise_relay.models import ApiKey, Job, current_jobs

Action = Literal["view", "change", "delete"]
API_KEY_HEADER = "x-api-key"
#: Session entry that holds the token of an anonymous visitor. The session's own key would not
#: do: Django changes it at login, and a visitor keeps their jobs after that.
SESSION_KEY = "denoise_relay_visitor"
# Session keys as Django makes them. A session that is kept in a cookie has its content as its
# key, which two people may share.
_RANDOM_KEY = re.compile(r"[a-z0-9]{32,}")


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who sends a request: a user, an anonymous visitor, an API key, or several of them at once."""

    user: AbstractBaseUser | AnonymousUser
    #: Token of this session's anonymous visitor, kept after login; "" when there is none.
    visitor: str = ""
    api_key: ApiKey | None = None
    #: Key of the session that said so, to ask it again; "" when there is none.
    session_key: str = field(default="", repr=False)

    @property
    def logged_in_user(self) -> AbstractBaseUser | None:
        """The user who is logged in, or None."""
        return self.user if self.user.is_authenticated else None


def default_policy(viewer: Viewer, job: Job, action: Action) -> bool:
    """Allow the owner, the anonymous visitor or API key that submitted the job, the owner's API
    keys, and staff with the model permission of the action (`view_job`, `change_job`,
    `delete_job`)."""
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


def _all_of_them(viewer: Viewer, jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs


# Whoever brought a job may see it.
default_policy.filter_jobs = _all_of_them  # type: ignore[attr-defined]


def _policy() -> Any:
    return import_string(relay_settings().ACCESS_POLICY)


def allowed(viewer: Viewer, job: Job, action: Action = "view") -> bool:
    """Whether the site's policy allows this.

    To delete a job, one must also be allowed to change it: a policy that was written before there
    was `delete` may say yes to every action that it does not know.
    """
    policy = _policy()
    if action == "delete" and not policy(viewer, job, "change"):
        return False
    return bool(policy(viewer, job, action))


def policy_jobs() -> QuerySet[Job]:
    """All jobs, with what a policy looks at. A client that is told of none does not ask again."""
    return current_jobs().select_related("owner", "api_key__user")


def get_job(viewer: Viewer, job_id: UUID, action: Action = "view") -> Job:
    """Return the job; raises the same `Http404` for an unknown job and for a forbidden one."""
    job = policy_jobs().filter(pk=job_id).first()
    if job is None or not allowed(viewer, job, action):
        raise Http404("No such job.")
    return job


async def aget_job(viewer: Viewer, job_id: UUID, action: Action = "view") -> Job:
    """`get_job` for async code. In a thread, because the policy may use the ORM."""
    return await sync_to_async(get_job)(viewer, job_id, action)


def claims(viewer: Viewer) -> list[Q]:
    """What makes a job the viewer's own: each of these alone does, and each has an index."""
    key = viewer.api_key
    users = [viewer.user.pk] if viewer.user.is_authenticated else []
    if key is not None and key.user_id is not None and key.user_id not in users:
        users.append(key.user_id)
    found = [Q(owner=user) for user in users]
    if key is not None:
        found.append(Q(api_key=key.pk))
    if viewer.visitor:
        found.append(Q(visitor=viewer.visitor))
    return found


def narrowed(viewer: Viewer, jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Those of the viewer's own jobs that the policy's filter leaves; all where it has none."""
    if not filters_lists():
        return jobs
    found: QuerySet[Job] = _policy().filter_jobs(viewer, jobs)
    return found


def filters_lists() -> bool:
    """Whether the policy has a queryset filter, so that a list is one query (`jobs.lists`)."""
    return hasattr(_policy(), "filter_jobs")


def visible(viewer: Viewer, jobs: Iterable[Job]) -> list[Job]:
    """Those of some of the viewer's own jobs that they may see."""
    if filters_lists():
        return list(jobs)
    return [job for job in jobs if allowed(viewer, job)]


async def viewer_of(request: HttpRequest) -> Viewer:
    """Who sends this HTTP request. Creates no session and no visitor."""
    user = await request.auser() if hasattr(request, "auser") else AnonymousUser()
    visitor = session_key = ""
    if hasattr(request, "session"):
        visitor = await request.session.aget(SESSION_KEY, "")
        visitor = visitor or derived_visitor(request.session, user)
        session_key = request.session.session_key or ""
    key = await aget_api_key(request.headers.get(API_KEY_HEADER, ""))
    return Viewer(user=user, visitor=visitor, api_key=key, session_key=session_key)


async def with_visitor(request: HttpRequest, viewer: Viewer) -> Viewer:
    """The viewer; an anonymous one gets a visitor token if they have none.

    A new token is stored in the session, so the response sets a session cookie. Call this when
    the upload page is served, so that files which are sent at once belong to one visitor, and
    again when a file comes in, for clients that did not load the page.
    """
    session = request.session
    if viewer.logged_in_user or await session.aget(SESSION_KEY, ""):
        return viewer
    if not session.session_key:
        await session.acreate()
    token = derived_visitor(session, viewer.user) or secrets.token_urlsafe(32)
    await session.aset(SESSION_KEY, token)
    return replace(viewer, visitor=token)


def derived_visitor(session: SessionBase, user: AbstractBaseUser | AnonymousUser) -> str:
    """The token of an anonymous session that stores none yet; "" if there can be none.

    Several first uploads at once find no token in their session, and another request may save an
    older state of the session over it. Made from the session's key, it is the same each time. The
    session must have been read: then a key that the client made up is gone.
    """
    key = session.session_key or ""
    if user.is_authenticated or not _RANDOM_KEY.fullmatch(key):
        return ""
    return salted_hmac(SESSION_KEY, key, algorithm="sha256").hexdigest()


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
    return usable(ApiKey.objects.select_related("user").filter(digest=digest(secret)).first())


def usable(key: ApiKey | None) -> ApiKey | None:
    """The key, or None when it is revoked, or of a user who is inactive."""
    if key is None or key.revoked_at is not None:
        return None
    return key if key.user is None or key.user.is_active else None


async def aget_api_key(secret: str) -> ApiKey | None:
    """`get_api_key` for async views."""
    return await sync_to_async(get_api_key)(secret)


def key_now(pk: int | str) -> ApiKey | None:
    """The API key with this primary key; None when deleted, revoked, or of an inactive user."""
    return usable(ApiKey.objects.select_related("user").filter(pk=pk).first())


def create_api_key(name: str, user: AbstractBaseUser | None = None) -> str:
    """Create an API key and return its secret, which cannot be shown again."""
    secret = f"dr_{secrets.token_urlsafe(32)}"
    ApiKey.objects.create(name=name, user=user, digest=digest(secret))  # type: ignore[misc]
    return secret
