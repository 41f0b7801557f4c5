"""WebSocket clients that read nothing or vanish, and what they cost the server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.live.cluster import API_KEY
from tests.processes import Process, WebProcess


def grown_mb(process: Process, before_kb: int) -> float:
    """Megabytes by which a process has grown."""
    return (process.memory_kb() - before_kb) / 1024


async def ping_seconds(web: WebProcess) -> float:
    """How long a new client takes to connect, send a ping and receive the answer."""
    begun = time.monotonic()
    async with jobs_socket(web) as client:
        await client.send('{"ping": 1}')
        await asyncio.wait_for(client.recv(), 10)
    return time.monotonic() - begun


@contextlib.asynccontextmanager
async def jobs_socket(web: WebProcess) -> AsyncIterator[ClientConnection]:
    """A connection to the socket for many jobs."""
    async with connect(
        web.socket_url, additional_headers={"x-api-key": API_KEY}, proxy=None, ping_interval=None
    ) as client:
        yield client


@contextlib.contextmanager
def unread_socket(web: WebProcess, path: str) -> Iterator[socket.socket]:
    """A WebSocket that never reads, with the smallest buffer that the kernel allows."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", web.port))
        key = base64.b64encode(os.urandom(16)).decode()
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"x-api-key: {API_KEY}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in client.recv(1024):
            pass
        yield client


def messages_until_closed(client: socket.socket) -> tuple[list[dict[str, Any]], int]:
    """Read JSON messages to the close; return them and its code."""
    messages, data = [], b""
    while True:
        while len(data) < 2 or len(data) < _end(data):
            chunk = client.recv(65536)
            assert chunk, "cut off without a close"
            data += chunk
        end = _end(data)
        payload, first, data = data[_start(data) : end], data[0], data[end:]
        if first == 0x88:
            return messages, int.from_bytes(payload[:2], "big")
        if first == 0x81:
            messages.append(json.loads(payload))


def _start(data: bytes) -> int:
    return {126: 4, 127: 10}.get(data[1], 2)


def _end(data: bytes) -> int:
    start = _start(data)
    return start + (data[1] if start == 2 else int.from_bytes(data[2:start], "big"))


def text_frame(text: str) -> bytes:
    """A masked WebSocket text frame (with a mask of zeros)."""
    data = text.encode()
    head = (
        bytes([0x81, 0x80 | len(data)])
        if len(data) < 126
        else b"\x81\xfe" + len(data).to_bytes(2, "big")
    )
    return head + bytes(4) + data


def open_sockets(web: WebProcess) -> int:
    """How many sockets the process has open, by its metrics."""
    text = httpx.get(f"{web.url}/metrics", trust_env=False).text
    (value,) = [
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("denoise_relay_sockets")
    ]
    return int(value)
