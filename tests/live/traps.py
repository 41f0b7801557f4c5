"""Holding a process at one commit, by what passes through its gate to PostgreSQL."""

from __future__ import annotations

import threading

from tests.live.gate import Gate


class CommitTrap:
    """Stops a worker at one commit: before it reaches the database, or before its answer
    comes back. Only the transaction that has `words` in it is touched, in a `statement`
    of the kind given, if any."""

    def __init__(
        self, gate: Gate, words: bytes, *, committed: bool, statement: bytes = b""
    ) -> None:
        self.sprung = threading.Event()
        self._gate, self._words, self._committed = gate, words, committed
        self._statement = statement
        self._seen = False
        gate.on_bytes = self._look

    def _look(self, direction: str, data: bytes) -> None:
        if direction != "up" or self.sprung.is_set():
            return
        self._seen = self._seen or (self._words in data and self._statement in data)
        if self._seen and not self._committed:
            self._gate.hold_up()
            self.sprung.set()
        elif self._seen and b"COMMIT" in data:
            self._gate.hold_down()
            self.sprung.set()
