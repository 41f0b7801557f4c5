"""The ways of the fan-out bench: how each server is started, and how it is told to publish."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.fanout import control, frames
from bench.process import ROOT, Server, free_port, serving

# No server sends pings: the load answers none.
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
APPLICATION = "bench.fanout.application:application"
DAPHNE = f"-m daphne -b 127.0.0.1 -p {{port}} --ping-interval 36000 {APPLICATION}"
UVICORN = (
    "-m uvicorn --host 127.0.0.1 --port {port} --ws websockets-sansio --no-access-log"
    f" --log-level warning --ws-per-message-deflate false --ws-ping-interval 36000 {APPLICATION}"
)
GRANIAN = (
    "-m granian --interface asgi --host 127.0.0.1 --port {port} --no-access-log "
    f"--log-level warning {APPLICATION}"
)
NGINX_CONF = """
load_module {module}; daemon off; worker_processes 1; error_log {folder}/error.log; {user}
pid {folder}/nginx.pid; events {{ worker_connections 4096; }}
http {{ access_log off; nchan_message_buffer_length 1; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port};
    location ~ ^/ws/denoise/(.+)/$ {{ nchan_subscriber websocket; nchan_channel_id $1;
      nchan_subscriber_first_message newest; }}
    location ~ ^/publish/(.+)/$ {{ nchan_publisher; nchan_channel_id $1; }} }} }}
"""


@dataclass(frozen=True)
class Way:
    """One way of sending frames to viewers."""

    name: str
    #: Arguments of Python; empty for nginx.
    command: str
    kind: Literal["websocket", "event stream", "nchan"] = "websocket"
    environment: dict[str, str] = field(default_factory=dict)
    #: Too dear for as many updates as the others.
    slow: bool = False


def _relay(name: str, command: str, **environment: str) -> Way:
    return Way(name, command, environment={"BENCH_WAY": "relay", **environment})


BROADCAST = Way("websockets.broadcast", "-m bench.fanout.broadcast {port}")
HUB = Way("hub on sockets, Daphne", DAPHNE, environment={"BENCH_WAY": "hub"})
TUTORIAL = Way("tutorial on Daphne", DAPHNE, environment={"BENCH_WAY": "tutorial"}, slow=True)
EVENTSTREAM = Way(
    "django-eventstream on Daphne", DAPHNE, "event stream", {"BENCH_WAY": "eventstream"}, slow=True
)
NGINX = Way("nginx with nchan", "", "nchan")
RELAY_DAPHNE = _relay("relay on Daphne", DAPHNE)
RELAY_PUBLIC = _relay("relay on Daphne, public ASGI", DAPHNE, DENOISE_RELAY_DIRECT_SENDS="False")
RELAY_UVICORN = _relay("relay on uvicorn", UVICORN)
RELAY_GRANIAN = _relay("relay on granian", GRANIAN)
ALL = (
    BROADCAST,
    RELAY_DAPHNE,
    RELAY_UVICORN,
    HUB,
    NGINX,
    RELAY_PUBLIC,
    RELAY_GRANIAN,
    EVENTSTREAM,
    TUTORIAL,
)

#: Publishes one event of each of so many jobs, with this number.
Publish = Callable[[int, int], None]


@contextlib.contextmanager
def running(way: Way, environment: Mapping[str, str]) -> Iterator[tuple[Server, Publish]]:
    """Run a way's server on the last core until the block ends."""
    port, control_port = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-server-")))
        if way.kind == "nchan":
            command = _nginx(folder, port)
        else:
            command = [sys.executable, *way.command.format(port=port).split()]
        environ = {
            **environment,
            **way.environment,
            control.PORT: str(control_port),
            "PYTHONPATH": str(ROOT),
        }
        server = stack.enter_context(serving(command, environ, port=port))
        if way.kind == "nchan":
            yield server, _by_post(stack, port)
        else:
            yield server, _by_datagram(stack, control_port)


def missing(way: Way) -> str:
    """Why a way cannot be measured here; empty: it can."""
    if way is NGINX and (not NCHAN.exists() or _nginx_program() is None):
        return "nginx, or its module nchan, is not installed"
    return ""


def _nginx_program() -> str | None:
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def _nginx(folder: Path, port: int) -> list[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    conf = NGINX_CONF.format(module=NCHAN, folder=folder, port=port, user=user)
    (folder / "nginx.conf").write_text(conf)
    return [_nginx_program() or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _by_datagram(stack: contextlib.ExitStack, port: int) -> Publish:
    sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sender.connect(("127.0.0.1", port))

    def publish(jobs: int, number: int) -> None:
        sender.send(b"%d %d" % (jobs, number))

    return publish


def _by_post(stack: contextlib.ExitStack, port: int) -> Publish:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))

    def publish(jobs: int, number: int) -> None:
        for job in map(frames.job_id, range(jobs)):
            body = json.dumps(frames.body(job, number)).encode()
            connection.sendall(
                b"POST /publish/%s/ HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s"
                % (str(job).encode(), len(body), body)
            )
            connection.recv(4096)

    return publish
