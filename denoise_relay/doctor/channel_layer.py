"""The channel layer: does it carry messages between processes?"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any

from channels.layers import channel_layers
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import router

from denoise_relay.conf import relay_settings
from denoise_relay.doctor.run import Finding, fail, ok, warn
from denoise_relay.models import Job
from denoise_relay.pubsub import postgres, publisher
from denoise_relay.pubsub.postgres import PostgresSubscription
from denoise_relay.pubsub.round_trip import round_trip
from denoise_relay.runtime import database

ROUND_TRIP_SECONDS = 5.0
#: The pub/sub layer polls a new channel every 0.1 s; that is not slow.
SLOW_SECONDS = 0.5
ALIAS = "default"


async def layer() -> Sequence[Finding]:
    """Send a message from one connection to another, as between two processes."""
    if postgres.enabled():
        return [await _postgres()]
    here = publisher.shared_layer()
    external = relay_settings().WORKER == "external"
    if here is None:
        if external:
            return [
                fail(
                    "The worker is external, and the channel layer reaches no other process: "
                    "viewers wait for position checks.",
                    "Start Redis or Valkey and use channels_redis.pubsub.RedisPubSubChannelLayer.",
                )
            ]
        return [ok("No layer between processes, and none is needed while there is only one.")]
    # A second instance has connections of its own, as another process would.
    there = channel_layers.make_backend(ALIAS)
    name = type(here).__name__
    try:
        took = await round_trip(here, there, ROUND_TRIP_SECONDS)
    except Exception as error:  # noqa: BLE001 - layers raise whatever their client raises
        return [
            fail(
                f"{name} carries no message ({type(error).__name__}: {error}).",
                f"Is the server of CHANNEL_LAYERS running{_where()}? Viewers get their events "
                "from position checks meanwhile, seconds late.",
            )
        ]
    finally:
        await _close(there)
        await _close(here)
    text = f"{name} carries a message in {took * 1000:.1f} ms."
    if took < SLOW_SECONDS:
        return [ok(text)]
    return [warn(text, "Look at the load of its server and the network between.")]


async def _postgres() -> Finding:
    """Send a notification through the server to ourselves."""
    came, listening = asyncio.Event(), asyncio.Event()
    channel = f"denoise_relay_echo_{secrets.token_hex(4)}"
    receiver = PostgresSubscription(
        "denoise-doctor", channel, lambda _message: came.set(), listening.set
    )
    receiver.start()
    try:
        async with asyncio.timeout(ROUND_TRIP_SECONDS):
            await listening.wait()
            begun = time.perf_counter()
            await database.call(postgres.notify, router.db_for_write(Job), channel, [""])
            await came.wait()
    except (TimeoutError, DatabaseFailure) as error:
        return fail(
            f"PostgreSQL carries no notification ({type(error).__name__}).",
            "LISTEN needs a connection of its own: with PgBouncer use its session mode, or "
            "PUBSUB = 'channel_layer'.",
        )
    finally:
        await receiver.stop()
    took = time.perf_counter() - begun
    return ok(f"PostgreSQL carries a notification in {took * 1000:.1f} ms.")


def _where() -> str:
    """The addresses of the servers, without user and password."""
    configured: dict[str, Any] = dict(settings.CHANNEL_LAYERS)[ALIAS]
    hosts = configured.get("CONFIG", {}).get("hosts", [])
    shown = [_address(host) for host in hosts] if isinstance(hosts, list | tuple) else []
    return f" at {', '.join(shown)}" if shown else ""


def _address(host: Any) -> str:
    if isinstance(host, dict):
        host = host.get("address") or (host.get("host", "localhost"), host.get("port", 6379))
    if isinstance(host, list | tuple):
        return ":".join(str(part) for part in host[:2])
    return str(host).rpartition("@")[2].rpartition("//")[2]


async def _close(used: Any) -> None:
    """Close the layer's connections, if it is of a kind that can."""
    if isinstance(used, _pubsub()):
        await used.flush()  # deletes nothing: the pub/sub layer keeps nothing
    elif hasattr(used, "close_pools"):
        await used.close_pools()


def _pubsub() -> tuple[type[Any], ...]:
    """The class of the pub/sub layer, if channels_redis is installed."""
    try:
        from channels_redis.pubsub import RedisPubSubChannelLayer
    except ImportError:
        return ()
    return (RedisPubSubChannelLayer,)
