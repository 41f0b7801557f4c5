"""A transaction that stands still is ended by PostgreSQL, and so keeps no locks."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from denoise_relay.runtime import database, idle_transactions
from denoise_relay.runtime.database import write_transaction
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def limit(wrapper: BaseDatabaseWrapper = connection) -> str:  # type: ignore[assignment]
    with wrapper.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        return str(cursor.fetchone()[0])


def limits() -> list[str]:
    """Before, in and after a transaction of ours."""
    before = limit()
    with write_transaction():
        inside = limit()
    return [before, inside, limit()]


@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        (database.JOURNAL, ["7500ms", "7500ms", "7500ms"]),
        (database.LEASES, ["7500ms", "7500ms", "7500ms"]),
        (database.GENERAL, ["7500ms", "7500ms", "7500ms"]),
        # The site's policy may do slow things in transactions of its own.
        (database.POLICIES, ["0", "7500ms", "0"]),
    ],
    ids=["journal", "leases", "general", "policies"],
)
async def test_half_a_lease(threads: database.Threads, expected: list[str]) -> None:
    assert await threads.call(limits) == expected


def test_a_request_limits_its_own_transactions_only() -> None:
    connection.close()
    assert limits() == ["0", "7500ms", "0"]
    with transaction.atomic():
        with write_transaction():
            assert limit() == "0"
        assert limit() == "0"


def test_it_follows_the_lease_and_is_never_very_short(settings: Settings) -> None:
    for seconds, expected in [(60, "30s"), (0.5, "1s")]:
        settings.DENOISE_RELAY = {"LEASE_SECONDS": seconds}
        assert limits()[1] == expected


async def test_it_costs_our_threads_no_round_trip() -> None:
    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as captured, write_transaction():
            limit()
        return [each["sql"] for each in captured if "SET" in each["sql"]]

    await database.JOURNAL.call(limit)
    assert await database.JOURNAL.call(statements) == []


@pytest.mark.parametrize("pool", [{"DISABLE_SERVER_SIDE_CURSORS": True}, {"OPTIONS": {"pool": 1}}])
async def test_a_session_from_a_pool_is_limited_for_the_transaction_only(
    pool: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited() -> bool:
        return idle_transactions._limits_session(connection)  # type: ignore[arg-type]

    assert await database.JOURNAL.call(limited)
    for name, value in pool.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    assert not await database.JOURNAL.call(limited)


async def test_what_the_server_ended_is_a_lost_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DENOISE_RELAY = {"LEASE_SECONDS": 0.1}
    monkeypatch.setattr(idle_transactions, "SHORTEST", 0.05)
    tries: list[int] = []

    def stands_still_once() -> str:
        with write_transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            tries.append(cursor.fetchone()[0])
            if len(tries) == 1:
                asyncio.run_coroutine_threadsafe(gone(tries[0]), loop).result(10)
            return limit()

    async def gone(pid: int) -> None:
        def look() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid])
                return bool(cursor.fetchone()[0] == 0)

        await database.GENERAL.call(wait_for, look)

    loop = asyncio.get_running_loop()
    with pytest.raises(OperationalError, match="idle-in-transaction timeout"):
        await database.JOURNAL.call(stands_still_once)
    tries.clear()
    assert await database.JOURNAL.call_with_retry(stands_still_once) == "50ms"
    assert len(tries) == 2
