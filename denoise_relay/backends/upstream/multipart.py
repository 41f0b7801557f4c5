"""The body of a submission: one file as `multipart/form-data`, streamed from disk."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from denoise_relay.backends.upstream.errors import UploadAbandoned
from denoise_relay.formats import media_type_of

CHUNK_BYTES = 256 * 1024


class MultipartBody:
    """Iterate over it once to get the body. `on_percent(0-100)` is called at each new percent."""

    def __init__(
        self, source: BinaryIO, *, file_name: str, on_percent: Callable[[int], None]
    ) -> None:
        boundary = secrets.token_hex(16)
        media_type = media_type_of(file_name)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="audio"; filename="{file_name}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        ).encode("ascii")
        self._tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        self._source = source
        self._size = os.fstat(source.fileno()).st_size
        self._on_percent = on_percent
        self._abandoned = False

    @property
    def headers(self) -> dict[str, str]:
        length = len(self._head) + self._size + len(self._tail)
        return {"Content-Type": self.content_type, "Content-Length": str(length)}

    def abandon(self) -> None:
        """Stop at the next chunk: half a body is refused, a whole one would be a billed job."""
        self._abandoned = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        sent, shown = 0, -1
        while sent < self._size:
            if self._abandoned:
                raise UploadAbandoned
            # In a thread: the file may be on a slow disk, and the loop serves everybody.
            chunk = await asyncio.to_thread(self._source.read, min(CHUNK_BYTES, self._size - sent))
            if not chunk:
                raise OSError("the file became shorter while it was uploaded")
            yield chunk
            sent += len(chunk)
            percent = sent * 100 // self._size
            if percent > shown:
                shown = percent
                self._on_percent(percent)
        if self._abandoned:
            raise UploadAbandoned
        yield self._tail


def open_source(path: Path) -> BinaryIO:
    """Open a recording for upload.

    Not in a thread, though it may block for a moment: a cancel while the thread is at it
    would leave the file open.
    """
    return path.open("rb")
