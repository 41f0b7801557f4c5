"""A fault point: it stops a process at one commit, by what passes through a TCP proxy."""

from __future__ import annotations

import threading

from tests.live.cluster import DATABASE, PostgresCluster
from tests.live.tcp_proxy import TcpProxy
from tests.processes import Process

#: How the statement begins that is a transaction of its own (`journal.alone`).
ALONE = b"WITH job AS ("


class CommitFaultPoint:
    """Stalls the connection to PostgreSQL at one commit.

    The commit is that of the transaction with `words` in one statement (that contains
    `statement` too). With `committed` the server commits and its answer is held; without, the
    statement itself does not reach the server.
    """

    def __init__(
        self, proxy: TcpProxy, words: bytes, *, committed: bool, statement: bytes = b""
    ) -> None:
        #: Set when the connection is stalled.
        self.reached = threading.Event()
        self._proxy, self._words, self._committed = proxy, words, committed
        self._statement = statement
        self._seen = False
        proxy.on_bytes = self._inspect

    def _inspect(self, direction: str, data: bytes) -> None:
        if direction != "up" or self.reached.is_set():
            return
        self._seen = self._seen or (self._words in data and self._statement in data)
        if self._seen and not self._committed:
            self._proxy.hold_up()
            self.reached.set()
        elif self._seen and (b"COMMIT" in data or (ALONE in data and self._words in data)):
            self._proxy.hold_down()
            self.reached.set()


def proxied_worker(cluster: PostgresCluster, proxy: TcpProxy, **overrides: str) -> Process:
    """Start a worker whose way to PostgreSQL is the proxy."""
    return cluster.worker(DATABASE_URL=cluster.postgres.url(DATABASE, proxy.port), **overrides)
