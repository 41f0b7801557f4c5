"""Who opens a socket, and who a viewer is a while later.

A socket or stream stays open for minutes or hours. Meanwhile keys are revoked, people log out and
users are deactivated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http.cookie import parse_cookie
from django.utils.crypto import constant_time_compare

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.runtime import database


async def viewer_of_scope(scope: Mapping[str, Any]) -> Viewer:
    """Who opens this WebSocket: the user and visitor of its cookie's session, and the API key.

    A session or a user that a middleware of the site has put into the scope counts instead.
    Raises Django's database errors.
    """
    session: SessionBase | None = scope.get("session") or _session_of_cookie(scope)
    header = dict(scope.get("headers", ())).get(access.API_KEY_HEADER.encode(), b"")

    def read() -> Viewer:
        user, visitor, session_key = scope.get("user"), "", ""
        if session is not None:
            # The session is loaded when it is first read, which may query the database.
            user = user or user_of_session(session)
            visitor = session.get(access.SESSION_KEY, "") or access.derived_visitor(session, user)
            session_key = session.session_key or ""
        return Viewer(
            user=user or AnonymousUser(),
            visitor=visitor,
            api_key=access.get_api_key(header.decode("latin-1")),
            session_key=session_key,
        )

    # Not `sync_to_async`: its one thread is shared by all sockets, and no end of a request would
    # close a dead connection there. And a site's user backend may be as slow as its policy.
    return await database.POLICIES.read(read)


def _session_of_cookie(scope: Mapping[str, Any]) -> SessionBase | None:
    """The session, not loaded yet; None without a cookie.

    Not by the middleware of Channels: that keeps the session for as long as the socket is open, and
    looks at it for each message that is sent, which took a fifth of a frame's time.
    """
    cookies = dict(scope.get("headers", ())).get(b"cookie", b"").decode("latin-1")
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    if key is None:
        return None
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return session


def user_of_session(session: SessionBase) -> AbstractBaseUser | AnonymousUser:
    """The session's user, found and verified as `django.contrib.auth.get_user` does.

    That function may also end the session or give it another key, which no browser would be told
    of here. Blocking. Raises Django's database errors.
    """
    try:
        user_id = auth.get_user_model()._meta.pk.to_python(session[auth.SESSION_KEY])
        backend = session[auth.BACKEND_SESSION_KEY]
    except KeyError:
        return AnonymousUser()
    if backend not in settings.AUTHENTICATION_BACKENDS:
        return AnonymousUser()
    user = auth.load_backend(backend).get_user(user_id)
    if user is not None and hasattr(user, "get_session_auth_hash"):
        known = session.get(auth.HASH_SESSION_KEY) or ""
        hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
        if not any(constant_time_compare(known, each) for each in hashes):
            return AnonymousUser()
    return user or AnonymousUser()


def refreshed(viewer: Viewer) -> Viewer | None:
    """The viewer as they are now: without a key that was revoked, or a user who is inactive.

    None when their session has ended, by a logout, a login or a new password in another tab:
    whoever comes again then shows the cookie that they have now. Blocking. Raises
    Django's database errors.
    """
    user, visitor = viewer.user, viewer.visitor
    session: SessionBase | None = None
    if viewer.session_key:
        session = import_module(settings.SESSION_ENGINE).SessionStore(viewer.session_key)
        visitor = session.get(access.SESSION_KEY, "")
        if not session.session_key:
            return None
    if user.is_authenticated:
        user = _user_now(user, session)
    if session is not None:
        visitor = visitor or access.derived_visitor(session, user)
    key = access.key_now(viewer.api_key.pk) if viewer.api_key is not None else None
    return replace(viewer, user=user, visitor=visitor, api_key=key)


def _user_now(
    user: AbstractBaseUser, session: SessionBase | None
) -> AbstractBaseUser | AnonymousUser:
    if session is not None and session.get(auth.SESSION_KEY) == user._meta.pk.value_to_string(user):
        return user_of_session(session)
    # A user whom the site knows by something else than the session.
    found = type(user)._default_manager.filter(pk=user.pk).first()
    return found if found is not None and found.is_active else AnonymousUser()
