"""Just enough HTTP/1.1 for a test double: a request's head, its body, and one file field."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0

_FILE_NAME = re.compile(rb'filename="([^"]*)"')
_FIELD = re.compile(rb';\s*name="([^"]*)"')
_MEDIA_TYPE = re.compile(rb"^content-type:[ \t]*(.+?)\r?$", re.IGNORECASE | re.MULTILINE)


class BadRequest(ValueError):
    """The client sent something that is not HTTP, or too much of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The head of a request; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """One file field of a multipart form."""

    field: str
    file_name: str
    content_type: str
    content: bytes


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read a request's head; raises `BadRequest` when there is none."""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            data = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as exc:
        raise BadRequest("no head") from exc
    first, *lines = data.decode("latin-1").split("\r\n")[:-2]
    method, _, rest = first.partition(" ")
    parts = urlsplit(rest.partition(" ")[0])
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Head(method=method, path=parts.path, query=dict(parse_qsl(parts.query)), headers=headers)


async def read_body(reader: asyncio.StreamReader, head: Head, limit: int, seconds: float) -> bytes:
    """Read a request's body, plain or chunked; raises `BadRequest` when it is cut or too long."""
    try:
        async with asyncio.timeout(seconds):
            if "chunked" not in head.headers.get("transfer-encoding", "").lower():
                return await _exactly(reader, int(head.headers.get("content-length", "0")), limit)
            body = bytearray()
            while size := int((await reader.readline()).partition(b";")[0] or b"0", 16):
                body += await _exactly(reader, size, limit - len(body))
                await reader.readline()
            return bytes(body)
    except (asyncio.IncompleteReadError, ValueError, TimeoutError) as exc:
        raise BadRequest("no whole body") from exc


async def _exactly(reader: asyncio.StreamReader, size: int, limit: int) -> bytes:
    if not 0 <= size <= limit:
        raise BadRequest(f"a body of more than {limit} bytes")
    return await reader.readexactly(size)


def file_part(head: Head, body: bytes) -> FilePart | None:
    """Return the first file field of a form; None when there is none or the form is cut off."""
    _, marker, boundary = head.headers.get("content-type", "").partition("boundary=")
    delimiter = b"--" + boundary.partition(";")[0].strip('"').encode()
    # As a real parser does: half a form is no form.
    if not marker or not body.rstrip(b"\r\n").endswith(delimiter + b"--"):
        return None
    for part in body.split(b"\r\n" + delimiter if not body.startswith(delimiter) else delimiter):
        fields, blank, content = part.partition(b"\r\n\r\n")
        name, file_name = _FIELD.search(fields), _FILE_NAME.search(fields)
        if blank and name and file_name:
            media_type = _MEDIA_TYPE.search(fields)
            return FilePart(
                field=name[1].decode(errors="replace"),
                file_name=file_name[1].decode(errors="replace"),
                content_type=media_type[1].decode("latin-1") if media_type else "",
                content=content.removesuffix(b"\r\n"),
            )
    return None
