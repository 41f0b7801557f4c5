"""The scripted upstream itself: one asyncio server, one request for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import socket
import struct
import threading
import time
import uuid
import wave
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from denoise_relay.testing import answers
from denoise_relay.testing.answers import MAX_SECONDS, Answer
from denoise_relay.testing.wire import BadRequest, FilePart, Head, file_part, read_body, read_head

MAX_BODY_BYTES = 256 * 1024 * 1024
#: Requests that are remembered; the counts go on.
MAX_SEEN = 10_000
_LINGER_NONE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A request as it arrived."""

    route: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that arrived whole."""

    field: str
    file_name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(kw_only=True)
class Record:
    """One job of the scripted upstream; tests may change it as they like."""

    file_name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "pending"
    audio_url: str | None = None
    error: str | None = None
    size_bytes: int = 0
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Not in the history before this moment (monotonic), or before this many list requests.
    visible_at: float = 0.0
    visible_after_lists: int = 0

    def as_json(self) -> dict[str, Any]:
        """The record as the contract's history shows it."""
        extension = self.file_name.rpartition(".")[2].lower()
        moment = self.created_at.isoformat()
        return {
            "id": self.id,
            "user_id": "scripted",
            "transaction_id": None,
            "audio_url": self.audio_url if self.status == "success" else None,
            "original_audio_url": "https://cdn.example/original",
            "file_name": self.file_name,
            "audio_duration": 1.0,
            "audio_size": self.size_bytes,
            "audio_format": extension,
            "source_type": "audio",
            "status": self.status,
            "error": self.error,
            "created_at": moment,
            "updated_at": moment,
        }


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
            await _Conversation(self, reader, writer).hold()
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
        shown = [r for r in self.records if r.visible_at <= now and r.visible_after_lists < lists]
        return sorted(shown, key=lambda record: record.created_at)[::-1]


class _Conversation:
    """One request and its answer."""

    def __init__(
        self, upstream: ScriptedUpstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._upstream = upstream
        self._reader = reader
        self._writer = writer
        self._head = Head(method="", path="", query={}, headers={})
        self._route = ""
        self._part: FilePart | None = None
        self._record: Record | None = None

    async def hold(self) -> None:
        self._head = await read_head(self._reader)
        self._route = _route(self._head)
        upstream = self._upstream
        upstream.counts[self._route] += 1
        upstream.seen.append(
            Seen(
                route=self._route,
                method=self._head.method,
                path=self._head.path,
                query=self._head.query,
                headers=self._head.headers,
            )
        )
        answer = upstream.next_answer(self._route) or self._by_the_contract()
        for step in answer.steps:
            await self._take(step)
        await self._writer.drain()

    async def _take(self, step: answers.Step) -> None:
        match step:
            case answers.Send(data=data, times=times):
                await self._send(data for _ in range(times))
            case answers.Drip(data=data, seconds=seconds, piece_bytes=size):
                for start in range(0, len(data), size):
                    await self._send([data[start : start + size]])
                    await self._wait(seconds)
            case answers.Wait(seconds=seconds):
                await self._wait(seconds)
            case answers.ReadBody():
                body = await read_body(self._reader, self._head, MAX_BODY_BYTES, MAX_SECONDS)
                self._part = file_part(self._head, body)
            case answers.Accept(lag_seconds=seconds, lag_lists=lists):
                self._accept(seconds, lists)
            case answers.Reply():
                for further in self._reply().steps:
                    await self._take(further)
            case answers.Reset():
                # RST rather than FIN: close without lingering.
                self._writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE
                )
                self._writer.transport.abort()
                raise ConnectionResetError

    async def _send(self, pieces: Iterable[bytes]) -> None:
        async with asyncio.timeout(MAX_SECONDS):
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()

    async def _wait(self, seconds: float) -> None:
        """Wait, or notice that the client has gone: nobody is served by a longer silence."""
        await self._writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, MAX_SECONDS)):
                while await self._reader.read(65536):
                    pass
                raise ConnectionResetError

    def _by_the_contract(self) -> Answer:
        if self._upstream.key and self._route != "result":
            given = self._head.headers.get("x-api-key")
            if given != self._upstream.key:
                taken = answers.read_body() if self._route == "submit" else answers.close()
                return taken + answers.error(401, "Invalid or missing API key")
        if self._route == "submit":
            return answers.accept() + answers.contract()
        return answers.contract()

    def _accept(self, lag_seconds: float, lag_lists: int) -> None:
        part = self._part
        if part is None or part.field != "audio":
            return
        content = part.content
        self._upstream.uploads.append(
            Upload(
                field=part.field,
                file_name=part.file_name,
                content_type=part.content_type,
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
        self._record = self._upstream.add_record(
            part.file_name,
            size_bytes=len(content),
            visible_at=time.monotonic() + lag_seconds,
            visible_after_lists=self._upstream.counts["list"] + lag_lists if lag_lists else 0,
        )

    def _reply(self) -> Answer:
        match self._route:
            case "submit":
                if self._record is None:
                    return answers.error(400, "audio is required and must be a file")
                ids = {"jobId": self._record.id, "denoiseId": self._record.id}
                return answers.json_body(200, ids)
            case "progress":
                return self._progress()
            case "list":
                return self._list()
            case "result":
                return answers.body(200, self._upstream.result, self._upstream.result_type)
        return answers.error(404, "No such route")

    def _progress(self) -> Answer:
        asked = self._head.path.split("/")[-2]
        record = next((r for r in self._upstream.records if r.id == asked), None)
        if record is None:
            return answers.error(404, "No such record")
        if record.status == "failed":
            return answers.chunked_stream(answers.failed(record.error or ""))
        events = [] if record.status == "success" else self._upstream.events
        self._upstream.finish(record)
        return answers.chunked_stream(*events, answers.done(record.audio_url))

    def _list(self) -> Answer:
        try:
            offset = int(self._head.query.get("offset", "0"))
            limit = int(self._head.query.get("limit", str(MAX_SEEN)))
        except ValueError:
            return answers.error(400, "bad offset or limit")
        if offset < 0 or limit < 1:
            return answers.error(400, "bad offset or limit")
        limit = min(limit, self._upstream.page_cap)
        shown = self._upstream.visible_records()[offset : offset + limit]
        return answers.json_body(200, [record.as_json() for record in shown])


def _route(head: Head) -> str:
    segments = head.path.strip("/").split("/")
    if segments[-1] == "denoise":
        return {"POST": "submit", "GET": "list"}.get(head.method, "other")
    if segments[-1] == "progress" and len(segments) > 2:
        return "progress"
    return "result" if segments[0] == "results" else "other"


def silent_wav(seconds: float = 0.1) -> bytes:
    """A valid, silent WAV: mono, 48 kHz, 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(2 * int(48_000 * seconds)))
    return buffer.getvalue()
