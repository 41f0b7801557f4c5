"""System checks. Ids are stable and never used again; docs/settings.md has a line for each.

Those of the channel layer, which count in the same series, are in `pubsub.checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from denoise_relay import backends, conf
from denoise_relay.models import Job
from denoise_relay.pubsub.checks import TAG
from denoise_relay.runtime.versions import version

OLDEST_DAPHNE = (4, 2, 2)


@register(TAG)
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E001: a key is unknown or has a bad value. E002: the access policy. E003: the backend.
    E012: the preset."""
    found: list[CheckMessage] = [
        Error(f"DENOISE_RELAY: {key} {problem}.", id="denoise_relay.E001")
        for key, problem in conf.problems()
    ]
    relay = conf.relay_settings()
    try:
        policy = import_string(relay.ACCESS_POLICY)
        if not callable(policy):
            raise ImportError("it is not callable")
        if not callable(getattr(policy, "filter_jobs", policy)):
            raise ImportError("its filter_jobs is not callable")
    except ImportError as error:
        found.append(
            Error(
                f"DENOISE_RELAY: ACCESS_POLICY {relay.ACCESS_POLICY!r} cannot be used: {error}.",
                hint="Give the dotted path of policy(viewer, job, action) -> bool.",
                id="denoise_relay.E002",
            )
        )
    try:
        found += [*backends.check(relay), *_preset_problems(relay)]
    except ImproperlyConfigured as error:
        found.append(Error(str(error), id="denoise_relay.E003"))
    return found


@register(TAG)
def check_database(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W005: SQLite without WAL and IMMEDIATE makes writers fail that need only wait."""
    connection = connections[router.db_for_write(Job)]
    if connection.vendor != "sqlite" or ":memory:" in str(connection.settings_dict["NAME"]):
        return []
    options = connection.settings_dict.get("OPTIONS", {})
    immediate = str(options.get("transaction_mode", "")).upper() == "IMMEDIATE"
    wal = "journal_mode=wal" in str(options.get("init_command", "")).lower().replace(" ", "")
    if immediate and wal:
        return []
    return [
        Warning(
            "SQLite is not set up for a page and a worker that write at the same time.",
            hint='DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", '
            '"timeout": 5, "init_command": "PRAGMA journal_mode=WAL; '
            'PRAGMA synchronous=NORMAL;"}',
            id="denoise_relay.W005",
        )
    ]


@register(TAG)
def check_apps(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W006: without `daphne` first in INSTALLED_APPS, runserver speaks no WebSocket."""
    if "daphne" in settings.INSTALLED_APPS or not getattr(settings, "ASGI_APPLICATION", ""):
        return []
    return [
        Warning(
            "`daphne` is not in INSTALLED_APPS: runserver answers WebSockets with 404.",
            hint='Put "daphne" first in INSTALLED_APPS.',
            id="denoise_relay.W006",
        )
    ]


@register(TAG)
def check_sqlite_alone(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W009: several processes on one SQLite file wait for each other at every write."""
    vendor = connections[router.db_for_write(Job)].vendor
    if vendor != "sqlite" or conf.relay_settings().WORKER != "external":
        return []
    return [
        Warning(
            "DENOISE_RELAY: WORKER is external, so several processes share one SQLite file: "
            "they wait for each other at every write, and none may be on another machine.",
            hint="Use PostgreSQL, or WORKER = 'embedded' with one process.",
            id="denoise_relay.W009",
        )
    ]


@register(TAG)
def check_connections(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W010: under ASGI, connections that are kept belong to threads that come and go."""
    alias = router.db_for_write(Job)
    if connections[alias].vendor == "sqlite" or connections.settings[alias]["CONN_MAX_AGE"] == 0:
        return []
    return [
        Warning(
            f'DATABASES["{alias}"]["CONN_MAX_AGE"] keeps connections that nobody will use again: '
            "under ASGI each request may have a thread of its own.",
            hint='Set CONN_MAX_AGE to 0; to save connecting, use "OPTIONS": {"pool": True} or '
            "PgBouncer.",
            id="denoise_relay.W010",
        )
    ]


@register(TAG)
def check_daphne(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """E011: older versions of Daphne let a WebSocket message fill the memory."""
    installed = version("daphne")
    if "daphne" not in settings.INSTALLED_APPS or not installed or installed >= OLDEST_DAPHNE:
        return []
    return [
        Error(
            f"Daphne {'.'.join(map(str, installed))} has known holes: WebSocket messages without "
            "a limit (CVE-2026-44545) and smuggled headers.",
            hint='pip install --upgrade "daphne>=4.2.2"',
            id="denoise_relay.E011",
        )
    ]


def _preset_problems(relay: conf.RelaySettings) -> list[CheckMessage]:
    names = backends.preset_names(relay)
    if not relay.PRESET or relay.PRESET in names:
        return []
    known = f"It has {', '.join(names)}." if names else "It has none: leave PRESET empty."
    return [
        Error(
            f"DENOISE_RELAY: the backend does not offer the PRESET {relay.PRESET!r} here.",
            hint=known,
            id="denoise_relay.E012",
        )
    ]
