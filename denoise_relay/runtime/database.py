"""Database threads for the event path, and transactions that may write.

Django's thread-sensitive executor is one thread for the whole process, so a slow page would
delay every event (measured: one blocking call of 3 s delayed another socket by 2.8 s). The event
path therefore has threads of its own, a few of each kind, so that one kind never waits for
another: with one pool for all, a slow access policy and 200 sockets delayed a renewal by 14.9 s,
and all runners were abandoned. Each thread keeps one connection, which is closed after an error,
because a restarted server leaves it dead.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import (
    DatabaseError,
    Error,
    InterfaceError,
    OperationalError,
    connections,
    router,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from denoise_relay.models import Job
from denoise_relay.runtime import idle_transactions, logs, metrics
from denoise_relay.runtime.backoff import Backoff
from denoise_relay.runtime.call_threads import CallThreads

P = ParamSpec("P")
T = TypeVar("T")

#: What Django raises when the database cannot be reached or the connection breaks: what was asked
#: may have been done or not.
LOST = (OperationalError, InterfaceError)


class Threads:
    """At most `count` threads for short, blocking ORM code, started when first needed.

    `ours` is false for threads that run code of the site's.
    """

    def __init__(self, name: str, count: int, *, ours: bool = True) -> None:
        self._name, self._count, self._ours = name, count, ours
        self._lock = threading.Lock()
        self._threads: CallThreads | None = None
        #: Connections of the threads: a thread that ends does not close its own.
        self._connections: list[BaseDatabaseWrapper] = []

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in one of the threads.

        Cancelling the await does not stop the thread: a write may still happen. Writes are
        fenced (`journal.leases`), so a late one does no harm. Raises what the function raises.
        """
        made: T = await self._started().call(partial(_call_and_clean_up, function, *args, **kwargs))
        return made

    async def read(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`call` for code that only reads: once more, on a fresh connection, when the thread's
        own proves dead.

        Each thread keeps its connection, so that without this a restart of the database would
        fail one read in each thread afterwards.
        """
        return await self.call(lambda: _read(function, *args, **kwargs))

    async def call_with_retry(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`call`, repeated while the database is away, until cancelled.

        The function may run more than once, so it must only read, or write all or nothing.
        """
        backoff = Backoff(base=0.1, cap=5.0)
        while True:
            try:
                return await self.call(function, *args, **kwargs)
            except LOST as error:
                delay = backoff.next_delay()
                metrics.DATABASE_RETRIES.inc()
                logs.logger.warning(
                    "The database did not answer %s; again in %.1f s",
                    getattr(function, "__name__", "a call"),
                    delay,
                    extra=logs.fields("database_retry", error=repr(error)),
                )
                await asyncio.sleep(delay)

    def close(self) -> None:
        """End the threads and their connections. Blocks until running calls have ended. May be
        repeated; a later call starts new threads."""
        with self._lock:
            threads, self._threads = self._threads, None
            opened, self._connections = self._connections, []
        if threads is None:
            return
        threads.stop()
        for connection in opened:
            connection.inc_thread_sharing()  # its own thread has ended
            with suppress(Error):
                connection.close()

    def _started(self) -> CallThreads:
        with self._lock:
            if self._threads is None:
                self._connections = []
                begin = partial(_begin, self._connections, self._ours)
                self._threads = CallThreads(self._name, self._count, begin)
            return self._threads


#: The journal writer's, which makes one call at a time.
JOURNAL = Threads("journal", 1)
#: The supervisor's, which renews, claims and releases one after the other.
LEASES = Threads("leases", 1)
#: For what runs the site's access policy, which may be slow.
POLICIES = Threads("policies", 4, ours=False)
#: For all other calls, which are ours and short: replays, position checks, runners.
GENERAL = Threads("general", 4)
_ALL = (JOURNAL, LEASES, POLICIES, GENERAL)


async def call(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """`Threads.call` in the general threads: for short code that runs nothing of the site's."""
    return await GENERAL.call(function, *args, **kwargs)


async def read(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """`Threads.read` in the general threads."""
    return await GENERAL.read(function, *args, **kwargs)


async def call_with_retry(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """`Threads.call_with_retry` in the general threads."""
    return await GENERAL.call_with_retry(function, *args, **kwargs)


def close() -> None:
    """End all threads and their connections, as `Threads.close`."""
    for threads in _ALL:
        threads.close()


# A command that calls something here and ends: nothing may run while Python takes itself apart.
atexit.register(close)


async def release() -> None:
    """Close a request's database connections before a long response begins.

    Django closes them when the response has been sent, and a stream may take 15 minutes: without
    this, each viewer holds a connection all that time (measured: 40 of 40).
    """
    await sync_to_async(_close_this_thread)()


def _call_and_clean_up(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except (DatabaseError, InterfaceError):
        # Also after errors that are no lost connection: a new one costs a millisecond, and the
        # error does not say reliably which kind it is.
        _close_this_thread()
        raise


def _read(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except LOST:
        # A connection that could not be opened is none: the database is away then.
        opened = [c for c in connections.all(initialized_only=True) if c.connection is not None]
        if all(c.in_atomic_block or c.is_usable() for c in opened):
            raise
        _close_this_thread()
    return function(*args, **kwargs)


def _begin(opened: list[BaseDatabaseWrapper], ours: bool) -> None:
    """Add the connections of this thread, none of which is open yet."""
    opened.extend(connections.all())
    if ours:
        idle_transactions.limit_sessions_of_this_thread()


def _close_this_thread() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # open only in tests, which own the transaction
            connection.close()


def _locks_first(connection: BaseDatabaseWrapper) -> bool:
    # Django 5.1 and later; also for a transaction of the caller's, which began so.
    return getattr(connection, "transaction_mode", None) in ("IMMEDIATE", "EXCLUSIVE")


@contextmanager
def write_transaction() -> Iterator[str]:
    """A transaction that may write from its first statement on; yields the database's alias.

    On SQLite a transaction that reads first and writes later fails at once when another writer
    came in between, whatever the timeout (264 of 400 with four writers). Django takes the write
    lock first with `transaction_mode: IMMEDIATE`; a write of no rows takes it in other modes.

    PostgreSQL ends it when this process stands still in it (`idle_transactions`), unless it is
    part of a transaction of the caller's. That, too, raises `OperationalError`.
    """
    alias = router.db_for_write(Job)
    connection = connections[alias]
    outermost = not connection.in_atomic_block
    with idle_transactions.reported_as_lost(), transaction.atomic(using=alias):
        if outermost:
            idle_transactions.limit_transaction(connection)
        if connection.vendor == "sqlite" and not _locks_first(connection):
            with connection.cursor() as cursor:
                cursor.execute(f'DELETE FROM "{Job._meta.db_table}" WHERE 0')  # noqa: S608
        yield alias
