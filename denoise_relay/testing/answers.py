"""What a scripted upstream can answer: steps at byte level, and words to build them.

An `Answer` is a tuple of steps, run in order on one connection, which is closed (FIN) after
the last of them. Answers add up: `stream(processing(5)) + silence(2) + reset()`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: No answer waits longer than this in one step, so that no suite hangs on a script.
MAX_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Send:
    """Write bytes, `times` times over, as fast as the client reads."""

    data: bytes
    times: int = 1


@dataclass(frozen=True, slots=True)
class Drip:
    """Write bytes in pieces with a pause after each."""

    data: bytes
    seconds: float
    piece_bytes: int = 1


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing until the time is over or the client has gone."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Read the whole request body. Without this step a submission is answered early."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Make a record of the file that was read; the history shows it late when asked to."""

    lag_seconds: float = 0.0
    #: History requests, counted from now, that do not show it yet.
    lag_lists: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the contract asks for at this point: ids, events, history, or the result."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Cut the connection with RST; what was not yet read by the client is lost."""


Step = Send | Drip | Wait | ReadBody | Accept | Reply | Reset


@dataclass(frozen=True, slots=True)
class Answer:
    """Steps, run in order; then the connection is closed."""

    steps: tuple[Step, ...]

    def __add__(self, other: Answer) -> Answer:
        return Answer(self.steps + other.steps)


# --- Pieces -----------------------------------------------------------------------------------


def raw(data: bytes, times: int = 1) -> Answer:
    """Exactly these bytes, head and all."""
    return Answer((Send(data, times),))


def drip(data: bytes, *, seconds: float, piece_bytes: int = 1) -> Answer:
    """Bytes with a pause after each piece."""
    return Answer((Drip(data, seconds, piece_bytes),))


def silence(seconds: float = MAX_SECONDS) -> Answer:
    """An open connection on which nothing happens."""
    return Answer((Wait(seconds),))


def reset() -> Answer:
    """RST."""
    return Answer((Reset(),))


def close() -> Answer:
    """FIN, here and now."""
    return Answer(())


def contract() -> Answer:
    """The right answer, whatever was asked."""
    return Answer((Reply(),))


# --- Submissions ------------------------------------------------------------------------------


def accept(*, lag_seconds: float = 0.0, lag_lists: int = 0) -> Answer:
    """Take the whole file and make a job of it; add `contract()` to tell, or `reset()` not to."""
    return Answer((ReadBody(), Accept(lag_seconds, lag_lists)))


def read_body() -> Answer:
    """Take the whole file and make no job of it."""
    return Answer((ReadBody(),))


# --- JSON and errors --------------------------------------------------------------------------


def head(status: int, headers: dict[str, str] | None = None) -> bytes:
    """The head of an HTTP/1.1 response."""
    lines = [f"HTTP/1.1 {status} Scripted", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def body(
    status: int, content: bytes, media_type: str, headers: dict[str, str] | None = None
) -> Answer:
    """A response with a body of known length; `headers` may contradict it."""
    own = {"Content-Type": media_type, "Content-Length": str(len(content))}
    return raw(head(status, own | (headers or {})) + content)


def json_body(status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
    """A JSON response."""
    return body(status, json.dumps(value).encode(), "application/json", headers)


def error(status: int, message: str = "Scripted error", retry_after: str = "") -> Answer:
    """An error as the contract words it."""
    value = {"errorCode": f"{status}01", "errorMessage": message}
    return json_body(status, value, {"Retry-After": retry_after} if retry_after else None)


def redirect(location: str, status: int = 302) -> Answer:
    """A redirect that must not be followed."""
    return raw(head(status, {"Location": location, "Content-Length": "0"}))


# --- The extension `preview` ------------------------------------------------------------------

SEGMENT_PIXELS = 750


def growth(segments: int, first: int = 0) -> dict[str, Any]:
    """The JSON of a waveform that has grown to so many segments, from pixel `first` on."""
    data = [value for n in range(segments) for value in [-n % -128, n % 128] * SEGMENT_PIXELS]
    first = min(first, segments * SEGMENT_PIXELS)
    return {
        "version": 2,
        "channels": 1,
        "sample_rate": 48_000,
        "samples_per_pixel": 256,
        "bits": 8,
        "length": segments * SEGMENT_PIXELS - first,
        "data": data[2 * first :],
        "first": first,
        "complete": False,
        "segments": segments,
        "segment_seconds": 4.0,
    }


# --- Event streams ----------------------------------------------------------------------------

STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


def stream(*messages: bytes, headers: dict[str, str] | None = None) -> Answer:
    """An event stream that ends where the connection does (so a cut is a clean end)."""
    return raw(head(200, STREAM_HEADERS | (headers or {})) + b"".join(messages))


def chunked_stream(
    *messages: bytes, finish: bool = True, headers: dict[str, str] | None = None
) -> Answer:
    """An event stream in chunks; without `finish` its end is a visible cut."""
    chunks = b"".join(chunk(message) for message in messages)
    return raw(
        head(200, STREAM_HEADERS | {"Transfer-Encoding": "chunked"} | (headers or {}))
        + chunks
        + (b"0\r\n\r\n" if finish else b"")
    )


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def message(payload: Any) -> bytes:
    """One SSE message; a `str` or `bytes` payload travels as it is, anything else as JSON."""
    if isinstance(payload, bytes):
        return b"data: " + payload + b"\n\n"
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"data: {text}\n\n".encode()


def processing(pct: Any, text: str | None = None) -> bytes:
    """A `processing` event."""
    words = {} if text is None else {"message": text}
    return message({"stage": "processing", "pct": pct, **words})


def done(url: str | None) -> bytes:
    """A `done` event; no `url` field for None."""
    return message({"stage": "done", **({} if url is None else {"url": url})})


def failed(text: str) -> bytes:
    """An `error` event."""
    return message({"stage": "error", "message": text})
