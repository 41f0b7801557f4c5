"""The ways of the bench between processes: their servers, and their publishers."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.process import LOAD_CORES, Server, free_port, serving
from bench.pubsub import publishing

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
APPLICATION = "bench.pubsub.application:application"
CORE = "channels_redis.core.RedisChannelLayer"


@dataclass(frozen=True)
class Way:
    """A web process, and what publishes to it."""

    name: str
    what: str = "relay"
    layer: str = ""
    #: Published in the web process itself.
    inside: bool = False
    environment: dict[str, str] = field(default_factory=dict)


IN_PROCESS = Way("relay, one process", inside=True)
RELAY = Way("relay over Valkey", layer=PUBSUB)
RELAY_EACH = Way(
    "relay over Valkey, a message per job",
    layer=PUBSUB,
    environment={"DENOISE_RELAY_MESSAGES_PER_COMMIT": "1000"},
)
RELAY_CORE = Way("relay over RedisChannelLayer", layer=CORE)
RELAY_POSTGRES = Way(
    "relay over PostgreSQL",
    what="postgresql",
    environment={"DENOISE_RELAY_PUBSUB": "postgresql"},
)
TUTORIAL = Way("tutorial over RedisPubSubChannelLayer", what="tutorial", layer=PUBSUB)
TUTORIAL_CORE = Way("tutorial over RedisChannelLayer", what="tutorial", layer=CORE)
WAYS = (IN_PROCESS, RELAY, RELAY_EACH, RELAY_CORE, RELAY_POSTGRES, TUTORIAL, TUTORIAL_CORE)


@dataclass(frozen=True)
class Running:
    """A way that runs."""

    way: Way
    web: Server
    #: The same as `web` where it publishes inside.
    publisher: Server
    _control: int

    def publish(self, seq: int, jobs: int, commit: int) -> None:
        """Publish an event of each job, so many in one commit. Returns at once."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(f"{seq} {jobs} {commit}".encode(), ("127.0.0.1", self._control))


@contextlib.contextmanager
def running(way: Way, environment: dict[str, str]) -> Iterator[Running]:
    """Start the web process on the last core, and the publisher on the first."""
    control = free_port()
    environment = environment | way.environment | {publishing.WAY: way.what}
    if way.layer:
        environment |= {"BENCH_LAYER": way.layer, "BENCH_PREFIX": f"bench{control}"}
    else:
        environment |= {"REDIS_URL": ""}
    told = environment | {publishing.PORT: str(control)}
    with contextlib.ExitStack() as stack:
        port = free_port()
        # No pings: viewers of the bench answer none.
        command = f"-m daphne -b 127.0.0.1 -p {port} --ping-interval 36000 {APPLICATION}".split()
        web = stack.enter_context(
            serving([sys.executable, *command], told if way.inside else environment, port=port)
        )
        publisher = web
        if not way.inside:
            command = [sys.executable, "-m", "bench.pubsub.publishing"]
            publisher = stack.enter_context(serving(command, told, cores=LOAD_CORES))
        yield Running(way, web, publisher, control)
