"""One request to a scripted upstream, and its answer: the steps of a script, or the contract."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
import time
from collections.abc import Iterable

from denoise_relay.testing import answers
from denoise_relay.testing.answers import MAX_SECONDS, Answer
from denoise_relay.testing.http1 import FilePart, Head, file_part, read_body, read_head
from denoise_relay.testing.state import Record, Seen, Upload, UpstreamState

MAX_BODY_BYTES = 256 * 1024 * 1024
ALL_RECORDS = 10_000
_LINGER_NONE = struct.pack("ii", 1, 0)


class Connection:
    """One request and its answer."""

    def __init__(
        self, upstream: UpstreamState, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._upstream = upstream
        self._reader = reader
        self._writer = writer
        self._head = Head(method="", path="", query={}, headers={})
        self._route = ""
        self._part: FilePart | None = None
        self._record: Record | None = None

    async def serve(self) -> None:
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
            await self._run(step)
        await self._writer.drain()

    async def _run(self, step: answers.Step) -> None:
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
                    await self._run(further)
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
        """Wait, or end early when the client has gone."""
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
        key = self._head.headers.get("idempotency-key", "")
        if key and "idempotency-key" in self._upstream.extensions:
            self._record = next((r for r in self._upstream.records if r.key == key), None)
            if self._record is not None:
                return
        transform = self._upstream.transform
        self._record = self._upstream.add_record(
            part.file_name,
            result=transform(content) if transform else None,
            size_bytes=len(content),
            key=key,
            visible_at=time.monotonic() + lag_seconds,
            visible_after_lists=self._upstream.counts["list"] + lag_lists if lag_lists else 0,
        )

    def _reply(self) -> Answer:
        match self._route:
            case "submit":
                if self._record is None:
                    return answers.error(400, "audio is required and must be a file")
                ids = {"jobId": self._record.id, "denoiseId": self._record.id}
                return answers.json_body(200, ids, self._announced())
            case "cancel":
                return self._cancel()
            case "waveform" | "preview":
                return self._shown()
            case "progress":
                return self._progress()
            case "list":
                return self._list()
            case "result":
                record_id = self._head.path.rpartition("/")[2].partition(".")[0]
                content = self._upstream.result_of(record_id)
                return answers.body(200, content, self._upstream.result_type)
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
        events = [*events, answers.done(record.audio_url)]
        return answers.chunked_stream(*events, headers=self._announced())

    def _list(self) -> Answer:
        try:
            offset = int(self._head.query.get("offset", "0"))
            limit = int(self._head.query.get("limit", str(ALL_RECORDS)))
        except ValueError:
            return answers.error(400, "bad offset or limit")
        if offset < 0 or limit < 1:
            return answers.error(400, "bad offset or limit")
        limit = min(limit, self._upstream.page_cap)
        shown = self._upstream.visible_records()[offset : offset + limit]
        return answers.json_body(200, [record.as_json() for record in shown], self._announced())

    def _cancel(self) -> Answer:
        asked = self._head.path.split("/")[-2]
        record = next((r for r in self._upstream.records if r.id == asked), None)
        if record is None or "cancel" not in self._upstream.extensions:
            return answers.error(404, "No such record")
        record.status, record.error = "failed", "Canceled."
        return answers.json_body(200, {"denoiseId": record.id}, self._announced())

    def _shown(self) -> Answer:
        upstream, head = self._upstream, self._head
        job, what = head.path.split("/")[-3], head.path.rpartition("/")[2]
        record = next((r for r in upstream.records if r.id == job), None)
        asked = head.headers.get("denoise-relay-extensions") == "preview"
        running = record is not None and record.status == "pending"
        if not (asked and running and "preview" in upstream.extensions):
            return answers.error(404, "No such record")
        if self._route == "waveform":
            growth = answers.growth(len(upstream.segments), int(head.query.get("from", "0")))
            return answers.json_body(200, growth, self._announced())
        if not what.isdecimal() or int(what) >= len(upstream.segments):
            return answers.error(404, "No such record")
        content = upstream.segments[int(what)]
        return answers.body(200, content, "audio/flac", self._announced())

    def _announced(self) -> dict[str, str]:
        names = ", ".join(self._upstream.extensions)
        return {"Denoise-Relay-Extensions": names} if names else {}


def _route(head: Head) -> str:
    segments = head.path.strip("/").split("/")
    if segments[-1] == "denoise":
        return {"POST": "submit", "GET": "list"}.get(head.method, "other")
    if segments[-1] in ("progress", "cancel") and len(segments) > 2:
        return segments[-1]
    if len(segments) > 3 and segments[-2] in ("waveform", "preview"):
        return segments[-2]
    return "result" if segments[0] == "results" else "other"
