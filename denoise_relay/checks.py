"""System checks. Ids are stable and never used again; docs/settings.md has a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from denoise_relay import backends, conf
from denoise_relay.models import Job

TAG = "denoise_relay"


@register(TAG)
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E001: a key is unknown or has a bad value. E002: the access policy. E003: the backend."""
    found: list[CheckMessage] = [
        Error(f"DENOISE_RELAY: {key} {problem}.", id="denoise_relay.E001")
        for key, problem in conf.problems()
    ]
    relay = conf.relay_settings()
    try:
        if not callable(import_string(relay.ACCESS_POLICY)):
            raise ImportError("it is not callable")
    except ImportError as error:
        found.append(
            Error(
                f"DENOISE_RELAY: ACCESS_POLICY {relay.ACCESS_POLICY!r} cannot be used: {error}.",
                hint="Give the dotted path of policy(viewer, job, action) -> bool.",
                id="denoise_relay.E002",
            )
        )
    try:
        found.extend(backends.backend_class(relay).check(relay))
    except ImproperlyConfigured as error:
        found.append(Error(str(error), id="denoise_relay.E003"))
    return found


@register(TAG)
def check_layer(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W004: without a layer between processes an external worker is heard late.

    A warning and no error: the journal carries everything, only seconds later.
    """
    layer = get_channel_layer()
    if conf.relay_settings().WORKER != "external":
        return []
    if layer is None or isinstance(layer, InMemoryChannelLayer):
        return [
            Warning(
                "DENOISE_RELAY: WORKER is external, but CHANNEL_LAYERS reaches no other process: "
                "viewers see each step only at the next position check.",
                hint="Use channels_redis.pubsub.RedisPubSubChannelLayer, or WORKER = 'embedded'.",
                id="denoise_relay.W004",
            )
        ]
    return []


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
