"""Plain requests to a scripted upstream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from denoise_relay.testing import ScriptedUpstream
from denoise_relay.testing.pytest_plugin import scripted_upstream  # noqa: F401

KEY = "x-api-key: scripted-key\r\n"


async def ask(upstream: ScriptedUpstream, request: str | bytes) -> bytes:
    """Send bytes, return everything that comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(request.encode() if isinstance(request, str) else request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def get(path: str, headers: str = KEY) -> str:
    return f"GET /api/v1{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"


def post(content: bytes, file_name: str = "a.wav", field: str = "audio", cut: int = 0) -> bytes:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{file_name}"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    ).encode() + content + b"\r\n--b--\r\n"  # fmt: skip
    head = (
        f"POST /api/v1/denoise HTTP/1.1\r\nHost: x\r\n{KEY}"
        "Content-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {len(body) - cut}\r\n\r\n"
    )
    return head.encode() + body[: len(body) - cut]


def parse(response: bytes) -> tuple[int, Any]:
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
