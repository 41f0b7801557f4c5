"""100,000 jobs and 2,000,000 events, made by two statements and kept for the whole run.

One owner has 60,000 of the jobs, with an API key and, as a visitor before, 200 of them; 5,000 jobs
are unfinished. A process of its own makes them (`python -m bench.large_database`), because Django
is configured once in a process.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.process import ROOT, manage

JOBS = 100_000
EVENTS_PER_JOB = 20
OWNED = 60_000
UNFINISHED = 5_000
OWNER, SECRET = "owner", "dr_bench"
MAKE_SECONDS = 120.0
EVENTS_VARIABLE = "BENCH_EVENTS_PER_JOB"
#: The site, not in debug mode, which keeps every query.
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "project.settings",
    "DEBUG": "0",
    "SECRET_KEY": "not a secret: bench only",
}

_open = contextlib.ExitStack()
atexit.register(_open.close)


@functools.cache
def databases() -> dict[str, str]:
    """URLs of the filled databases by their names, `SQLite` and, where it is installed,
    `PostgreSQL`. Made at the first call, deleted at the end of the process."""
    folder = _open.enter_context(tempfile.TemporaryDirectory(prefix="denoise-bench-"))
    urls = {"SQLite": f"sqlite:///{folder}/db.sqlite3"}
    try:
        from tests.live.state_servers import Postgres
    except ImportError:
        print("PostgreSQL is not installed (extra `cluster`): SQLite alone")
    else:
        postgres = _open.enter_context(Postgres())
        with postgres.connect() as connection:
            connection.execute("CREATE DATABASE bench_large")
        urls["PostgreSQL"] = postgres.url("bench_large")
    # Side by side: each is one process, or one and its server.
    with ThreadPoolExecutor(len(urls)) as threads:
        list(threads.map(make, urls, urls.values()))
    return urls


def make(name: str, url: str, events_per_job: int = EVENTS_PER_JOB) -> None:
    """Migrate and fill one database."""
    begun = time.monotonic()
    environment = ENVIRONMENT | {"DATABASE_URL": url, EVENTS_VARIABLE: str(events_per_job)}
    manage(environment, "migrate", "--verbosity", "0")
    subprocess.run(
        [sys.executable, "-m", "bench.large_database"],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        timeout=MAKE_SECONDS,
    )
    rows = f"{JOBS:,} jobs, {JOBS * events_per_job:,} events"
    print(f"{name}: {rows} made in {time.monotonic() - begun:.0f} s")


def _fill() -> None:
    """Fill the configured database, which has been migrated."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    from denoise_relay.access import digest
    from denoise_relay.models import ApiKey, Event, Job

    owner = User.objects.create_superuser(OWNER)
    User.objects.bulk_create([User(username=f"user{n}") for n in range(200)])
    key = ApiKey.objects.create(name="bench", user=owner, digest=digest(SECRET))
    sqlite = connection.vendor == "sqlite"
    # Scattered as random ids are, and the same in each run. n: 1 to JOBS, the newest is the last.
    scattered, ago = "(n * 2654435761) % 4294967296", f"({JOBS} - n) * 60"
    if sqlite:
        pk = f"printf('%08x%024x', {scattered}, n)"
        moment = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || ({ago}) || ' seconds')"
    else:
        pk = f"(lpad(to_hex({scattered}), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid"
        moment = f"now() - ({ago}) * interval '1 second'"
    unfinished = f"n > {JOBS - UNFINISHED}"
    is_owners = "n % 5 < 3"
    last = int(os.environ[EVENTS_VARIABLE])
    jobs = {
        "id": pk,
        "owner_id": f"CASE WHEN {is_owners} THEN {owner.pk} ELSE {owner.pk} + 1 + n % 200 END",
        "api_key_id": f"CASE WHEN n % 10 = 0 THEN {key.pk} END",
        "visitor": "CASE WHEN n % 500 = 0 THEN 'visitor' ELSE '' END",
        "original": "'denoise/none/' || n || '.wav'",
        "file_name": "'Interview ' || n || '.wav'",
        "size_bytes": "1000000",
        "duration_seconds": "60.5",
        "status": f"CASE WHEN {unfinished} THEN 'queued' ELSE 'done' END",
        "stage": f"CASE WHEN {unfinished} THEN 'processing' ELSE 'done' END",
        "pct": f"CASE WHEN {unfinished} THEN 0 ELSE 100 END",
        "result": f"CASE WHEN {unfinished} THEN '' ELSE 'denoise/none/' || n || '.flac' END",
        "upstream_id": "'vendor-' || n",
        "seq": str(last),
        "turn": "n",
        "submitter": f"'user ' || (CASE WHEN {is_owners} THEN 0 ELSE n % 200 END)",
        "created_at": moment,
        "started_at": f"CASE WHEN {unfinished} THEN NULL ELSE {moment} END",
        "finished_at": f"CASE WHEN {unfinished} THEN NULL ELSE {moment} END",
    }
    done = f"seq = {last} AND finished_at IS NOT NULL"
    events = {
        "job_id": "id",
        "seq": "number.seq",
        "stage": f"CASE WHEN number.{done} THEN 'done' ELSE 'processing' END",
        "pct": f"number.seq * 100.0 / {last}",
        "message": "'Isolating voice'",
        "at": "created_at",
    }
    with connection.cursor() as cursor:
        # Nobody checks 2,000,000 foreign keys.
        if sqlite:
            cursor.execute("PRAGMA foreign_keys=OFF")
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-200000")
        else:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("SET synchronous_commit = off")
            cursor.execute("SET maintenance_work_mem = '256MB'")
        cursor.execute(*_insert(Job, jobs, _numbers("n", JOBS)))
        # In the order of the index, so that it is appended to.
        source = f"{_numbers('seq', last, 'number')} CROSS JOIN {Job._meta.db_table} AS job"
        cursor.execute(*_insert(Event, events, f"{source} ORDER BY job.id, number.seq"))
        cursor.execute("ANALYZE")
        if not sqlite:
            cursor.execute("VACUUM ANALYZE")


def _numbers(name: str, count: int, table: str = "numbers") -> str:
    rows = f"SELECT 1 AS {name} UNION ALL SELECT {name} + 1 FROM made WHERE {name} < {count}"
    return f"(WITH RECURSIVE made AS ({rows}) SELECT {name} FROM made) AS {table}"


def _insert(model: Any, columns: Mapping[str, str], source: str) -> tuple[str, list[Any]]:
    """An `INSERT … SELECT`, in which columns that are not named have their defaults."""
    from django.db import connection

    fields = [f for f in model._meta.concrete_fields if f.column in columns or not f.primary_key]
    rest = [f for f in fields if f.column not in columns]
    values = {f.column: f.get_db_prep_save(f.get_default(), connection) for f in rest}
    named = {name: expression.replace("%", "%%") for name, expression in columns.items()}
    selected = ", ".join(named.get(f.column, "%s") for f in fields)
    names = ", ".join(f'"{f.column}"' for f in fields)
    sql = f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {selected} FROM {source}'
    return sql, list(values.values())


if __name__ == "__main__":
    _fill()
