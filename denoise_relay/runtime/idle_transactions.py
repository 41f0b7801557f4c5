"""Ends transactions that stand still, so that a frozen process keeps no locks (PostgreSQL).

A process that is frozen (SIGSTOP, a paused machine) inside a transaction keeps the rows that it
has locked, beyond its leases: others skip those jobs when they claim, and wait for them when they
write. So the server ends a session whose transaction gets no statement for half a lease, and the
frozen process meets a dead connection when it wakes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import InternalError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from denoise_relay.conf import relay_settings

#: The shortest time, in seconds: a busy machine may stand still for a moment.
SHORTEST: Final = 1.0
#: What the server says when it ends a session for this.
_SQLSTATE: Final = "25P03"
_THIS_THREAD = threading.local()


def limit_sessions_of_this_thread() -> None:
    """Limit whole sessions from now on, once when each is opened. For threads that run nothing of
    the site's, which may do slow things in its transactions."""
    _THIS_THREAD.limits_sessions = True


def limit_transaction(connection: BaseDatabaseWrapper) -> None:
    """Limit the transaction that has just begun, which is ours alone. One round trip, or none
    where the session has the limit."""
    if connection.vendor == "postgresql" and not _limits_session(connection):
        _set(connection, local=True)


@contextmanager
def reported_as_lost() -> Iterator[None]:
    """Raise `OperationalError`, as for any lost connection, when the server has ended a session
    because its transaction stood still. The drivers say `InternalError`."""
    try:
        yield
    except InternalError as error:
        cause = error.__cause__
        # psycopg 3, and psycopg2
        if _SQLSTATE not in (getattr(cause, "sqlstate", ""), getattr(cause, "pgcode", "")):
            raise
        raise OperationalError(*error.args) from error


def _limits_session(connection: BaseDatabaseWrapper) -> bool:
    # A pool, Django's or (with DISABLE_SERVER_SIDE_CURSORS) PgBouncer's, lends the same session
    # to others, whose transactions are theirs.
    own = connection.settings_dict
    shared = own.get("DISABLE_SERVER_SIDE_CURSORS") or own.get("OPTIONS", {}).get("pool")
    return not shared and getattr(_THIS_THREAD, "limits_sessions", False)


def _on_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "postgresql" and _limits_session(connection):
        _set(connection, local=False)


def _set(connection: BaseDatabaseWrapper, *, local: bool) -> None:
    seconds = max(SHORTEST, relay_settings().LEASE_SECONDS / 2)
    scope = "LOCAL" if local else "SESSION"
    with connection.cursor() as cursor:
        cursor.execute(f"SET {scope} idle_in_transaction_session_timeout = {round(seconds * 1000)}")


connection_created.connect(_on_connection, dispatch_uid="denoise_relay.idle_transactions")
