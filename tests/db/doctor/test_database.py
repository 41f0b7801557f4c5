"""What the doctor says of the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from denoise_relay.doctor import database as doctor_database
from denoise_relay.doctor.database import database
from denoise_relay.doctor.run import Level
from tests.db.doctor.examining import committed, found, worst
from tests.db.factories import make_job


@committed
def test_database_that_is_well() -> None:
    said = found(database)
    assert {level for level, _text in said} == {Level.OK}
    assert "All migrations are applied." in [text for _level, text in said]


@committed
def test_missing_migration() -> None:
    recorder = MigrationRecorder(connection)
    # The newest one: what comes before an applied migration counts as applied, too.
    ((_app, newest),) = MigrationLoader(connection).graph.leaf_nodes("denoise_relay")
    recorder.record_unapplied("denoise_relay", newest)
    try:
        bad = worst(database)
    finally:
        recorder.record_applied("denoise_relay", newest)
    assert bad.level is Level.FAIL
    assert f"denoise_relay.{newest}" in bad.text
    assert "migrate" in bad.remedy


@committed
@pytest.mark.postgres
@pytest.mark.parametrize(("seconds", "level"), [(5, Level.WARN), (-60, Level.FAIL)])
def test_clock_that_differs_from_the_database(
    seconds: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off:
        """`django.utils.timezone`, on a machine with another idea of the time."""

        @staticmethod
        def now() -> Any:
            return timezone.now() - timedelta(seconds=seconds)

    monkeypatch.setattr(doctor_database, "timezone", Off)
    bad = worst(database)
    assert bad.level is level
    assert f"{abs(seconds)}.0" in bad.text
    assert ("ahead of ours" if seconds > 0 else "behind ours") in bad.text


@committed
@pytest.mark.sqlite
def test_several_processes_on_sqlite() -> None:
    later = timezone.now() + timedelta(minutes=1)
    for owner in ("one", "two"):
        make_job(lease_owner=owner, lease_until=later)
    bad = worst(database)
    assert bad.level is Level.WARN
    assert bad.text == "2 processes run jobs on one SQLite file: one, two."
