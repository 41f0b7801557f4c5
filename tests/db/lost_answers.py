"""Connections to the database that break during a commit: nobody hears what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper


@contextlib.contextmanager
def lost_answers(committed: list[bool]) -> Iterator[None]:
    """Break the connection during the next commits: after each that is `committed`, else before."""
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]
    left = iter(committed)

    def commit_and_break(self: BaseDatabaseWrapper) -> None:
        made = next(left, None)
        if made is None:
            commit(self)
            return
        if made:
            commit(self)
        self.connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    BaseDatabaseWrapper._commit = commit_and_break  # type: ignore[attr-defined]
    try:
        yield
    finally:
        BaseDatabaseWrapper._commit = commit  # type: ignore[attr-defined]
