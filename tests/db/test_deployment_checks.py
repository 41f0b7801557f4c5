"""System checks of what is around the app; whole messages, so that a change is a decision."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from pytest_django import Settings

from denoise_relay import checks
from denoise_relay.pubsub import checks as pubsub_checks

REDIS = {"redis": "8.1.0"}


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Installed versions, to be changed by the test."""
    installed: dict[str, str] = {}
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: installed.get(name) or real(name))
    return installed


def core(**options: Any) -> dict[str, Any]:
    hosts = [{"address": "redis://127.0.0.1:6379", **options}]
    return {"default": {"BACKEND": pubsub_checks.CORE_LAYER, "CONFIG": {"hosts": hosts}}}


def pubsub(*hosts: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": pubsub_checks.PUBSUB_LAYER, "CONFIG": {"hosts": list(hosts)}}}


E007 = Error(
    "RedisChannelLayer reads for 5 s at a time, and its redis client gives up no later: "
    "every idle consumer dies after 5 s.",
    hint='Give each host in CHANNEL_LAYERS "socket_timeout": 15, or install "redis<8", '
    "or use channels_redis.pubsub.RedisPubSubChannelLayer.",
    id="denoise_relay.E007",
)


@pytest.mark.parametrize(
    ("redis", "layers", "expected"),
    [
        ("8.1.0", core(), [E007]),
        ("10.0.0rc1", core(), [E007]),
        ("8.1.0", core(socket_timeout=5), [E007]),
        ("7.4.1", core(socket_timeout=4), [E007]),
        ("8.1.0", core(socket_timeout=15), []),
        ("8.1.0", core(socket_timeout=None), []),
        ("7.4.1", core(), []),
        ("8.1.0", {"default": {"BACKEND": pubsub_checks.CORE_LAYER}}, [E007]),
        (
            "8.1.0",
            {"default": {"BACKEND": pubsub_checks.CORE_LAYER, "CONFIG": {"hosts": [("h", 6379)]}}},
            [E007],
        ),
        ("8.1.0", pubsub({"address": "redis://h"}), []),
        ("8.1.0", {}, []),
    ],
)
def test_client_that_gives_up_too_early(
    versions: dict[str, str],
    settings: Settings,
    redis: str,
    layers: Any,
    expected: list[CheckMessage],
) -> None:
    versions["redis"] = redis
    settings.CHANNEL_LAYERS = layers
    assert pubsub_checks.check_redis_client(None) == expected


def test_core_layer_loses_bursts(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = core(socket_timeout=15)
    assert pubsub_checks.check_layer_class(None) == [
        Warning(
            "RedisChannelLayer loses messages: 100 wait for a whole process, and what is "
            "beyond that is dropped until the next position check.",
            hint='CHANNEL_LAYERS["default"]["BACKEND"] = '
            '"channels_redis.pubsub.RedisPubSubChannelLayer"',
            id="denoise_relay.W008",
        )
    ]


@pytest.mark.parametrize("hosts", [["redis://h"], [], [{"address": "a", "retry": 1}, "b"]])
def test_pubsub_layer_needs_a_retry_policy(settings: Settings, hosts: list[Any]) -> None:
    settings.CHANNEL_LAYERS = pubsub(*hosts)
    assert pubsub_checks.check_layer_class(None) == [
        Warning(
            "RedisPubSubChannelLayer has no retry policy: after a restart of Redis the first "
            "messages fail on connections that are gone.",
            hint='Give each host "retry": Retry(ExponentialBackoff(cap=1, base=0.1), 5), with '
            "Retry from redis.asyncio.retry and ExponentialBackoff from redis.backoff.",
            id="denoise_relay.W008",
        )
    ]


def test_layer_of_the_demo_site_passes(settings: Settings) -> None:
    from project import layers

    settings.CHANNEL_LAYERS = {"default": layers.from_url("redis://127.0.0.1:6379/0")}
    assert pubsub_checks.check_layer_class(None) == []
    assert pubsub_checks.check_redis_client(None) == []


def test_sqlite_with_an_external_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")
    settings.DENOISE_RELAY = {"WORKER": "external"}
    assert checks.check_sqlite_alone(None) == [
        Warning(
            "DENOISE_RELAY: WORKER is external, so several processes share one SQLite file: "
            "they wait for each other at every write, and none may be on another machine.",
            hint="Use PostgreSQL, or WORKER = 'embedded' with one process.",
            id="denoise_relay.W009",
        )
    ]
    settings.DENOISE_RELAY = {"WORKER": "embedded"}
    assert checks.check_sqlite_alone(None) == []
    settings.DENOISE_RELAY = {"WORKER": "external"}
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    assert checks.check_sqlite_alone(None) == []


@pytest.mark.parametrize(("age", "warned"), [(0, False), (600, True), (None, True)])
def test_kept_connections(age: int | None, warned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", age)
    expected = Warning(
        'DATABASES["default"]["CONN_MAX_AGE"] keeps connections that nobody will use again: '
        "under ASGI each request may have a thread of its own.",
        hint='Set CONN_MAX_AGE to 0; to save connecting, use "OPTIONS": {"pool": True} or '
        "PgBouncer.",
        id="denoise_relay.W010",
    )
    assert checks.check_connections(None) == ([expected] if warned else [])


@pytest.mark.parametrize(
    ("version", "old"), [("4.2.1", True), ("4.1", True), ("4.2.2", False), ("5.0", False)]
)
def test_old_daphne(versions: dict[str, str], settings: Settings, version: str, old: bool) -> None:
    versions["daphne"] = version
    expected = Error(
        f"Daphne {version} has known holes: WebSocket messages without a limit "
        "(CVE-2026-44545) and smuggled headers.",
        hint='pip install --upgrade "daphne>=4.2.2"',
        id="denoise_relay.E011",
    )
    assert checks.check_daphne(None) == ([expected] if old else [])
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "daphne"]
    assert checks.check_daphne(None) == []
