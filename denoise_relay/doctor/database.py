"""The database: latency, migrations, clock, connections, and the mode of SQLite."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from denoise_relay.conf import relay_settings
from denoise_relay.doctor.run import Finding, Level, blocking, fail, ok, warn
from denoise_relay.models import Job, current_jobs

REMEDY = "Is the server of DATABASES running, and do name, user and password fit?"
ROUNDS = 5
SLOW_SECONDS = 0.05
SKEW_WARN = timedelta(seconds=2)
SKEW_FAIL = timedelta(seconds=30)
CROWDED = 0.8


def _findings() -> Iterator[Finding]:
    """Latency, migrations, and what matters on SQLite and on PostgreSQL."""
    connection = connections[router.db_for_write(Job)]
    yield _latency(connection)
    migrations = _migrations(connection)
    yield migrations
    if migrations.level is Level.FAIL:
        return  # the tables may be missing
    if connection.vendor == "sqlite":
        yield from _sqlite(connection)
    elif connection.vendor == "postgresql":
        yield _clock(connection)
        yield _room(connection)


def _ask(connection: BaseDatabaseWrapper, question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    return row[0] if row else None


def _latency(connection: BaseDatabaseWrapper) -> Finding:
    connection.ensure_connection()
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        _ask(connection, "SELECT 1")
        rounds.append(time.perf_counter() - begun)
    took = statistics.median(rounds)
    text = f"{connection.display_name} answers in {took * 1000:.1f} ms."
    if took < SLOW_SECONDS:
        return ok(text)
    return warn(
        text, "Every event waits for this. Put the database nearer, or look at what loads it."
    )


def _migrations(connection: BaseDatabaseWrapper) -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return ok("All migrations are applied.")
    ours = [str(step) for step, _backwards in plan if step.app_label == "denoise_relay"]
    names = ", ".join(ours or [str(step) for step, _backwards in plan[:3]])
    return (fail if ours else warn)(
        f"{len(plan)} migrations are not applied: {names}.", "Run `python manage.py migrate`."
    )


def _sqlite(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    mode = str(_ask(connection, "PRAGMA journal_mode")).lower()
    if mode not in ("wal", "memory"):
        yield fail(
            f"SQLite is in {mode} mode: a page that reads makes the worker's writes fail.",
            'Set "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" in the '
            "OPTIONS of the database. Not on a network disk.",
        )
    else:
        yield ok(f"SQLite is in {mode} mode.")
    owners = _owners()
    if len(owners) > 1:
        yield warn(
            f"{len(owners)} processes run jobs on one SQLite file: {', '.join(owners)}.",
            "Use PostgreSQL for more than one process; they wait for each other at every write.",
        )


def _owners() -> list[str]:
    """The owners of leases that have not expired."""
    fresh = current_jobs().filter(lease_until__gt=timezone.now())
    return sorted(set(fresh.order_by().values_list("lease_owner", flat=True)) - {""})


def _clock(connection: BaseDatabaseWrapper) -> Finding:
    before = timezone.now()
    theirs = _ask(connection, "SELECT clock_timestamp()")
    after = timezone.now()
    # The server read its clock between the two.
    skew = theirs - (before + (after - before) / 2)
    ahead = "ahead of" if skew > timedelta() else "behind"
    text = f"The database's clock is {abs(skew).total_seconds():.1f} s {ahead} ours."
    if abs(skew) < SKEW_WARN + (after - before):
        return ok(text)
    remedy = "Run a time service (chrony, systemd-timesyncd) on both machines."
    # Leases use the database's clock only; deadlines and ages compare both clocks.
    return (fail if abs(skew) > SKEW_FAIL else warn)(text, remedy)


def _room(connection: BaseDatabaseWrapper) -> Finding:
    used = int(_ask(connection, "SELECT count(*) FROM pg_stat_activity"))
    limit = int(_ask(connection, "SHOW max_connections"))
    text = f"{used} of {limit} connections of PostgreSQL are in use."
    if used < CROWDED * limit:
        return ok(text)
    return warn(
        text,
        "Each process needs about six. Raise max_connections, start fewer processes, or put "
        f"PgBouncer between (leases of {relay_settings().LEASE_SECONDS:g} s need no session).",
    )


database = blocking(_findings, REMEDY)
