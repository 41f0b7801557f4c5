"""Bytes of a stored file as an async iterator, read in threads, for streaming responses."""

from __future__ import annotations

import asyncio
import threading

from django.core.files import File
from django.core.files.storage import Storage

CHUNK_BYTES = 256 * 1024
"""One hop to a thread for each: large enough to hide its cost, small enough for RAM."""
READ_SECONDS = 30.0
"""A storage that is slower than this for one chunk has gone away."""


class StoredBytes:
    """`length` bytes from `first` on. Iterate once; opened at the first read.

    Django calls `close` when the response has been sent or its client has gone
    (`HttpResponseBase._resource_closers`), in a thread.
    """

    def __init__(self, storage: Storage, name: str, *, first: int, length: int) -> None:
        self._storage = storage
        self._name = name
        self._first = first
        self._left = length
        self._file: File[bytes] | None = None
        self._closed = False
        # A cancelled await leaves its thread reading; `close` must not pull the file away
        # from under it, nor come before that thread opens the file.
        self._lock = threading.Lock()

    def __aiter__(self) -> StoredBytes:
        return self

    async def __anext__(self) -> bytes:
        """Raises `OSError` when the file is shorter than it was, `TimeoutError` when it cannot
        be read: the connection must break, or the client would take a part for the whole."""
        if not self._left:
            raise StopAsyncIteration
        # Not the request's one thread-sensitive thread: storages may be slow.
        async with asyncio.timeout(READ_SECONDS):
            chunk = await asyncio.get_running_loop().run_in_executor(None, self._read)
        self._left -= len(chunk)
        return chunk

    def _read(self) -> bytes:
        with self._lock:
            if self._closed:
                raise OSError(f"{self._name} is no longer wanted")
            if self._file is None:
                self._file = self._storage.open(self._name, "rb")
                self._file.seek(self._first)
            chunk: bytes = self._file.read(min(CHUNK_BYTES, self._left))
        if not chunk:
            raise OSError(f"{self._name} ends {self._left} bytes early")
        return chunk

    def close(self) -> None:
        """Close the file; waits for a read that is under way. May be repeated. Blocking."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
