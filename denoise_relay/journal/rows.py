"""The statements of the journal: jobs locked and read, jobs updated, events inserted.

A few for a group of any size, and no objects of the ORM: with them, 500 events took 61 µs each on
SQLite and 114 µs on PostgreSQL. The statements are built only from names of our own columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from denoise_relay import events, models
from denoise_relay.frames import to_json

_JOBS: Final = f'"{models.Job._meta.db_table}"'
_EVENTS: Final = f'"{models.Event._meta.db_table}"'
#: The columns of a job that repeat its newest event, and those of an event, but for the time.
_MIRROR: Final = ("seq", "stage", "pct", "message", "warning")
_MIRRORED: Final = ", ".join(_MIRROR)
_REPORTED: Final = f"job_id, {_MIRRORED}, url"
# Always in the same order, so that two groups cannot deadlock. The lock is the one that the update
# takes, which lets others check foreign keys. The clock is read again for a row whose lock was
# waited for and that has changed meanwhile.
_LOCK: Final = (
    f"SELECT id, epoch, status, seq, pct, EXTRACT(EPOCH FROM clock_timestamp())::float8"  # noqa: S608
    f" FROM {_JOBS} WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE"
)
_READ: Final = f"SELECT id, epoch, status, seq, pct FROM {_JOBS} WHERE id IN "  # noqa: S608
_UPDATE: Final = (
    f"UPDATE {_JOBS} SET seq = %s, stage = %s, pct = %s, message = %s, warning = %s"  # noqa: S608
    " WHERE id = %s"
)
_INSERT: Final = (
    f"INSERT INTO {_EVENTS} ({_REPORTED}, at)"  # noqa: S608
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
# Both for many at once, in one round trip. From JSON, because the driver takes ten times as long to
# write arrays. MATERIALIZED, or it would be read twice.
_WRITE_MANY: Final = (
    "WITH new AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) AS new ("  # noqa: S608
    "job uuid, seq int, stage text, pct float8, message text, warning text, url text,"
    " mirrored bool)),"
    f" updated AS (UPDATE {_JOBS} SET seq = new.seq, stage = new.stage, pct = new.pct,"
    " message = new.message, warning = new.warning"
    f" FROM new WHERE {_JOBS}.id = new.job AND new.mirrored)"
    f" INSERT INTO {_EVENTS} ({_REPORTED}, at)"
    f" SELECT job, {_MIRRORED}, url, %s FROM new"
)


@dataclass(slots=True)
class Row:
    """What the journal needs to know of a job, and what is to be written to it."""

    job: UUID
    epoch: int
    status: str
    seq: int
    pct: float
    #: The newest of its new events.
    newest: events.Event | None = None
    #: Further columns to write.
    changes: dict[str, Any] = field(default_factory=dict)


def lock(alias: str, jobs: Collection[UUID]) -> tuple[dict[UUID, Row], datetime]:
    """The rows of these jobs, locked until the end of the transaction, and the time.

    The time is read under the locks, so that a job's `at` never falls while its `seq` rises: on
    PostgreSQL by the clock of the server, which all machines share.
    """
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_LOCK, ["{" + ",".join(map(str, jobs)) + "}"])
            found = cursor.fetchall()
            seconds = max((row[5] for row in found), default=0.0)
            return {row[0]: Row(*row[:5]) for row in found}, as_time(seconds)
        # The transaction has locked the whole database (`write_transaction`).
        known = {_key(connection, job): job for job in jobs}
        cursor.execute(f"{_READ}({', '.join(['%s'] * len(known))})", list(known))
        rows = {known[pk]: Row(known[pk], *rest) for pk, *rest in cursor.fetchall()}
    return rows, timezone.now()


def as_time(seconds: float) -> datetime:
    """The time of PostgreSQL's clock, as `timezone.now` would say it. (Its driver takes longer to
    make a `datetime` of each row than a group takes for the row.)"""
    return datetime.fromtimestamp(seconds, UTC if settings.USE_TZ else None)


def write(alias: str, rows: Collection[Row], added: Sequence[events.Event], at: datetime) -> None:
    """Update the rows, and insert the events."""
    connection = connections[alias]
    when = connection.ops.adapt_datetimefield_value(at)
    mirrored = [row.newest for row in rows if row.newest and not row.changes]
    changed = [row for row in rows if row.changes]
    with connection.cursor() as cursor:
        if changed:
            _write_changes(connection, cursor, changed)
        if connection.vendor == "postgresql" and len(added) > 1:
            cursor.execute(_WRITE_MANY, [_as_json(added, mirrored), when])
            return
        keys = {event.job: _key(connection, event.job) for event in added}
        _execute(cursor, _UPDATE, [(*_values(event), keys[event.job]) for event in mirrored])
        _execute(
            cursor,
            _INSERT,
            [(keys[event.job], *_values(event), event.url, when) for event in added],
        )


def _execute(cursor: CursorWrapper, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
    if len(parameters) == 1:
        cursor.execute(sql, parameters[0])  # `executemany` costs psycopg more round trips
    elif parameters:
        cursor.executemany(sql, parameters)


def _values(event: events.Event) -> tuple[int, str, float, str, str]:
    return event.seq, event.stage.value, event.pct, event.message, event.warning


def _as_json(added: Sequence[events.Event], mirrored: Collection[events.Event]) -> str:
    newest = {id(event) for event in mirrored}
    return to_json(
        [
            {
                "job": event.job,
                "seq": event.seq,
                "stage": event.stage,
                "pct": event.pct,
                "message": event.message,
                "warning": event.warning,
                "url": event.url,
                "mirrored": id(event) in newest,
            }
            for event in added
        ]
    )


def _write_changes(
    connection: BaseDatabaseWrapper, cursor: CursorWrapper, rows: Iterable[Row]
) -> None:
    """Write rows with further columns: one call for those with the same columns."""
    known = {column.name: column for column in models.Job._meta.concrete_fields}
    alike: dict[tuple[str, ...], list[list[Any]]] = defaultdict(list)
    for row in rows:
        values = dict(row.changes)
        if row.newest:
            values.update(zip(_MIRROR, _values(row.newest), strict=True))
        names = tuple(sorted(values))
        alike[names].append(
            [known[name].get_db_prep_save(values[name], connection) for name in names]
            + [_key(connection, row.job)]
        )
    for names, parameters in alike.items():
        assigned = ", ".join(f'"{known[name].column}" = %s' for name in names)
        sql = f"UPDATE {_JOBS} SET {assigned} WHERE id = %s"  # noqa: S608
        _execute(cursor, sql, parameters)


def _key(connection: BaseDatabaseWrapper, job: UUID) -> UUID | str:
    """The primary key as the database has it."""
    return job if connection.features.has_native_uuid_field else job.hex
