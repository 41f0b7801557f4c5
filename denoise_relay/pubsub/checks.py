"""System checks of what carries the news between processes. For ids see `denoise_relay.checks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections, router

from denoise_relay.conf import relay_settings
from denoise_relay.models import Job
from denoise_relay.runtime import server_processes
from denoise_relay.runtime.versions import version

TAG = "denoise_relay"
CORE_LAYER = "channels_redis.core.RedisChannelLayer"
PUBSUB_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"
#: The core layer's blocking read takes 5 s; the timeout of a socket must be longer.
BLOCKING_READ_SECONDS = 5


@register(TAG)
def check_pubsub(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """E013: another database than PostgreSQL announces nothing."""
    vendor = connections[router.db_for_write(Job)].vendor
    if relay_settings().PUBSUB != "postgresql" or vendor == "postgresql":
        return []
    return [
        Error(
            f"DENOISE_RELAY: PUBSUB is 'postgresql', but the database is {vendor}.",
            hint="Use PostgreSQL, or PUBSUB = 'channel_layer' with Redis in CHANNEL_LAYERS.",
            id="denoise_relay.E013",
        )
    ]


@register(TAG)
def check_layer(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W004: without a layer between processes events of an external worker arrive late, and so do
    those of a worker that is embedded in another process of the server.

    A warning and no error: the journal carries everything, only seconds later.
    """
    external = relay_settings().WORKER == "external"
    if not (external or server_processes.several()):
        return []
    from denoise_relay.pubsub import publisher  # brings the journal's threads and the metrics

    if publisher.reaches_others():
        return []
    what = "WORKER is external" if external else "several server processes embed a worker each"
    instead = "WORKER = 'embedded'" if external else "one process"
    return [
        Warning(
            f"DENOISE_RELAY: {what}, but CHANNEL_LAYERS reaches no other process: "
            "viewers see each step only at the next position check.",
            hint=f"Use channels_redis.pubsub.RedisPubSubChannelLayer, or {instead}.",
            id="denoise_relay.W004",
        )
    ]


@register(TAG)
def check_redis_client(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """E007: the client gives up before the layer's own read is over (redis-py 4091)."""
    backend, hosts = _layer()
    if backend != CORE_LAYER:
        return []
    # From version 8 on the default is 5 s. `None` is no limit, and so patient enough.
    unset = BLOCKING_READ_SECONDS if version("redis") >= (8,) else None
    timeouts = [host.get("socket_timeout", unset) for host in hosts]
    if all(timeout is None or timeout > BLOCKING_READ_SECONDS for timeout in timeouts):
        return []
    return [
        Error(
            "RedisChannelLayer reads for 5 s at a time, and its redis client gives up no later: "
            "every idle consumer dies after 5 s.",
            hint='Give each host in CHANNEL_LAYERS "socket_timeout": 15, or install "redis<8", '
            f"or use {PUBSUB_LAYER}.",
            id="denoise_relay.E007",
        )
    ]


@register(TAG)
def check_layer_class(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W008: a layer that loses bursts, or that does not come back after a restart of Redis."""
    backend, hosts = _layer()
    if backend == CORE_LAYER:
        return [
            Warning(
                "RedisChannelLayer loses messages: 100 wait for a whole process, and what is "
                "beyond that is dropped until the next position check.",
                hint=f'CHANNEL_LAYERS["default"]["BACKEND"] = "{PUBSUB_LAYER}"',
                id="denoise_relay.W008",
            )
        ]
    if backend == PUBSUB_LAYER and not all(host.get("retry") for host in hosts):
        return [
            Warning(
                "RedisPubSubChannelLayer has no retry policy: after a restart of Redis the first "
                "messages fail on connections that are gone.",
                hint='Give each host "retry": Retry(ExponentialBackoff(cap=1, base=0.1), 5), with '
                "Retry from redis.asyncio.retry and ExponentialBackoff from redis.backoff.",
                id="denoise_relay.W008",
            )
        ]
    return []


def _layer() -> tuple[str, list[Mapping[str, Any]]]:
    """The default layer's class, and the options of its hosts."""
    configured: Any = getattr(settings, "CHANNEL_LAYERS", {})
    layer = configured.get("default", {})
    hosts = layer.get("CONFIG", {}).get("hosts") or [{}]
    return layer.get("BACKEND", ""), [host if isinstance(host, Mapping) else {} for host in hosts]
