"""System checks: each id with its whole message."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning, run_checks
from django.db import connection
from pytest_django import Settings

from denoise_relay import checks
from denoise_relay.conf import RelaySettings
from tests.db.scripted_backends import Scripted

GOOD = {"BACKEND": "tests.db.scripted_backends.Scripted", "WORKER": "embedded"}


class Complaining(Scripted):
    """A backend with something to say."""

    @classmethod
    def check(cls, settings: RelaySettings) -> list[CheckMessage]:
        return [Error("Not today.", id="scripted.E001")]


def policy_with_a_bad_filter(*_: object) -> bool:
    return True


policy_with_a_bad_filter.filter_jobs = 7  # type: ignore[attr-defined]


def found() -> list[CheckMessage]:
    """What our own checks say, by id."""
    ours = [m for m in run_checks(tags=[checks.TAG]) if m.id and not m.id.startswith("security")]
    return sorted(ours, key=lambda message: str(message.id))


def test_nothing_is_wrong(settings: Settings) -> None:
    settings.DENOISE_RELAY = GOOD

    assert found() == []


@pytest.mark.parametrize(
    ("relay", "message"),
    [
        (
            {"LEASE_SECONDS": 0},
            Error("DENOISE_RELAY: LEASE_SECONDS must be positive, not 0.", id="denoise_relay.E001"),
        ),
        (
            {"ACCESS_POLICY": "tests.nowhere.policy"},
            Error(
                "DENOISE_RELAY: ACCESS_POLICY 'tests.nowhere.policy' cannot be used: "
                "No module named 'tests.nowhere'.",
                hint="Give the dotted path of policy(viewer, job, action) -> bool.",
                id="denoise_relay.E002",
            ),
        ),
        (
            {"ACCESS_POLICY": "denoise_relay.access.SESSION_KEY"},
            Error(
                "DENOISE_RELAY: ACCESS_POLICY 'denoise_relay.access.SESSION_KEY' cannot be used: "
                "it is not callable.",
                hint="Give the dotted path of policy(viewer, job, action) -> bool.",
                id="denoise_relay.E002",
            ),
        ),
        (
            {"ACCESS_POLICY": "tests.db.test_checks.policy_with_a_bad_filter"},
            Error(
                "DENOISE_RELAY: ACCESS_POLICY 'tests.db.test_checks.policy_with_a_bad_filter' "
                "cannot be used: its filter_jobs is not callable.",
                hint="Give the dotted path of policy(viewer, job, action) -> bool.",
                id="denoise_relay.E002",
            ),
        ),
        (
            {"BACKEND": "tests.nowhere.Backend"},
            Error(
                "DENOISE_RELAY['BACKEND'] = 'tests.nowhere.Backend' cannot be imported: "
                "No module named 'tests.nowhere'",
                id="denoise_relay.E003",
            ),
        ),
        (
            {"BACKEND": "denoise_relay.models.Job"},
            Error(
                "DENOISE_RELAY['BACKEND'] = 'denoise_relay.models.Job' is no "
                "denoise_relay.backends.base.Backend",
                id="denoise_relay.E003",
            ),
        ),
        (
            {"BACKEND": "tests.db.scripted_backends.PresetBackend", "PRESET": "gone"},
            Error(
                "DENOISE_RELAY: the backend does not offer the PRESET 'gone' here.",
                hint="It has fine, swift.",
                id="denoise_relay.E012",
            ),
        ),
        (
            {"PRESET": "fast"},
            Error(
                "DENOISE_RELAY: the backend does not offer the PRESET 'fast' here.",
                hint="It has none: leave PRESET empty.",
                id="denoise_relay.E012",
            ),
        ),
        ({"BACKEND": f"{__name__}.Complaining"}, Error("Not today.", id="scripted.E001")),
    ],
    ids=lambda value: value.id if isinstance(value, CheckMessage) else "",
)
def test_a_setting_that_is_wrong(
    settings: Settings, relay: dict[str, Any], message: CheckMessage
) -> None:
    settings.DENOISE_RELAY = GOOD | relay

    assert message in found()


def test_an_unknown_key(settings: Settings) -> None:
    settings.DENOISE_RELAY = GOOD | {"LEASES": 1}

    (message,) = [m for m in found() if m.id == "denoise_relay.E001"]

    assert str(message.msg).startswith("DENOISE_RELAY: LEASES is unknown; known keys: ACCESS_POL")


def test_an_external_worker_without_a_layer(settings: Settings) -> None:
    settings.DENOISE_RELAY = GOOD | {"WORKER": "external"}

    assert (
        Warning(
            "DENOISE_RELAY: WORKER is external, but CHANNEL_LAYERS reaches no other process: "
            "viewers see each step only at the next position check.",
            hint="Use channels_redis.pubsub.RedisPubSubChannelLayer, or WORKER = 'embedded'.",
            id="denoise_relay.W004",
        )
        in found()
    )


@pytest.mark.parametrize(
    ("variable", "count", "several"),
    [
        ("WEB_CONCURRENCY", "4", True),
        ("GRANIAN_WORKERS", "2", True),
        ("WEB_CONCURRENCY", "1", False),
        ("WEB_CONCURRENCY", "", False),
        ("WEB_CONCURRENCY", "auto", False),
    ],
)
def test_workers_embedded_in_several_processes_without_a_layer(
    variable: str, count: str, several: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DENOISE_RELAY = GOOD
    monkeypatch.setenv(variable, count)
    expected = Warning(
        "DENOISE_RELAY: several server processes embed a worker each, but CHANNEL_LAYERS reaches "
        "no other process: viewers see each step only at the next position check.",
        hint="Use channels_redis.pubsub.RedisPubSubChannelLayer, or one process.",
        id="denoise_relay.W004",
    )

    assert found() == ([expected] if several else [])


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("options", "fine"),
    [
        (
            {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
            True,
        ),
        (
            {"transaction_mode": "immediate", "init_command": "pragma journal_mode = wal"},
            True,
        ),
        ({"transaction_mode": "IMMEDIATE"}, False),
        ({"init_command": "PRAGMA journal_mode=WAL;"}, False),
        ({}, False),
    ],
)
def test_sqlite_options(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], fine: bool
) -> None:
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)

    warning = Warning(
        "SQLite is not set up for a page and a worker that write at the same time.",
        hint='DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", '
        '"timeout": 5, "init_command": "PRAGMA journal_mode=WAL; '
        'PRAGMA synchronous=NORMAL;"}',
        id="denoise_relay.W005",
    )
    assert list(checks.check_database(None)) == ([] if fine else [warning])


def test_runserver_without_daphne(settings: Settings) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "daphne"]

    assert list(checks.check_apps(None)) == [
        Warning(
            "`daphne` is not in INSTALLED_APPS: runserver answers WebSockets with 404.",
            hint='Put "daphne" first in INSTALLED_APPS.',
            id="denoise_relay.W006",
        )
    ]
