"""The scripted upstream itself: one asyncio server, one request for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter, deque
from types import TracebackType
from typing import Any

from denoise_relay.testing import answers
from denoise_relay.testing.answers import Answer
from denoise_relay.testing.connection import Conversation
from denoise_relay.testing.http1 import BadRequest
from denoise_relay.testing.state import Record, Seen, Upload, silent_wav

#: Requests that are remembered; the counts go on.
MAX_SEEN = 10_000


class ScriptedUpstream:
    """Use it as `async with` in the test's loop, or as `with` in a thread of its own.

    Routes are `submit`, `progress`, `list` and `result`. `on_submit(*answers)` and so on
    queue answers, one for each request; when a queue is empty the contract is followed.
    """

    def __init__(self, *, key: str = "scripted-key") -> None:
        self.key = key
        self.counts: Counter[str] = Counter()
        self.seen: deque[Seen] = deque(maxlen=MAX_SEEN)
        self.uploads: list[Upload] = []
        self.records: list[Record] = []
        #: Open connections, now.
        self.open_connections = 0
        #: What a job's stream says before its terminal event.
        self.events: list[bytes] = [
            answers.processing(15, "Extracting audio"),
            answers.processing(62, "Running noise reduction"),
        ]
        self.result = silent_wav()
        self.result_type = "audio/wav"
        #: Records on one page of the history, whatever `limit` asks for.
        self.page_cap = MAX_SEEN
        self._scripts: dict[str, deque[Answer]] = {
            route: deque() for route in ("submit", "progress", "list", "result")
        }
        self._port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._stop_thread: Any = None

    # --- What tests use -----------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self._port

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def netloc(self) -> str:
        """Host and port, for `ALLOWED_RESULT_HOSTS`."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """For `UPSTREAM_URL`."""
        return f"{self.origin}/api/v1"

    def on_submit(self, *script: Answer) -> None:
        self._scripts["submit"].extend(script)

    def on_progress(self, *script: Answer) -> None:
        self._scripts["progress"].extend(script)

    def on_list(self, *script: Answer) -> None:
        self._scripts["list"].extend(script)

    def on_result(self, *script: Answer) -> None:
        self._scripts["result"].extend(script)

    def forget_scripts(self) -> None:
        """Follow the contract from now on."""
        for script in self._scripts.values():
            script.clear()

    def add_record(self, file_name: str, **facts: Any) -> Record:
        """Put a job into the history, as if it had been submitted."""
        record = Record(file_name=file_name, **facts)
        self.records.append(record)
        return record

    def result_url(self, record: Record) -> str:
        return f"{self.origin}/results/{record.id}.wav"

    def finish(self, record: Record) -> None:
        """End a job well."""
        record.status = "success"
        record.audio_url = record.audio_url or self.result_url(record)

    def requests(self, route: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.route == route]

    async def refuse_connections(self) -> None:
        """Close the port: connecting fails until `accept_connections`."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accept_connections(self) -> None:
        """Open the port, the same one as before."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, limit=1024 * 1024
        )
        self._port = self._server.sockets[0].getsockname()[1]

    # --- Life ---------------------------------------------------------------------------------

    async def __aenter__(self) -> ScriptedUpstream:
        await self.accept_connections()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse_connections()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    def __enter__(self) -> ScriptedUpstream:
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="scripted-upstream", daemon=True
        )
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the scripted upstream did not start within 10 s")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._stop_thread is not None:
            self._stop_thread()
        if self._thread is not None:
            self._thread.join(20)

    async def _serve(self, ready: threading.Event) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop_thread = lambda: loop.call_soon_threadsafe(stop.set)
        async with self:
            ready.set()
            await stop.wait()

    # --- One connection -----------------------------------------------------------------------

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: the task is ours, so that leaving the context ends it.
        task = asyncio.create_task(self._converse(reader, writer), name="scripted upstream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            await Conversation(self, reader, writer).hold()
        except (BadRequest, ConnectionError, TimeoutError):
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def next_answer(self, route: str) -> Answer | None:
        """Take the next scripted answer of a route."""
        script = self._scripts.get(route)
        return script.popleft() if script else None

    def visible_records(self) -> list[Record]:
        """What the history shows, newest first."""
        now, lists = time.monotonic(), self.counts["list"]
        shown = [
            record
            for record in self.records
            if record.visible_at <= now
            and (not record.visible_after_lists or record.visible_after_lists < lists)
        ]
        return sorted(shown, key=lambda record: record.created_at)[::-1]
