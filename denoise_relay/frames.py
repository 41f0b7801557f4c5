"""Frames: events as the JSON text of WebSocket and SSE messages, encoded once for all. Pure.

The keys are those of docs/architecture.md and, for the API, of the upstream contract's "live
progress".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from denoise_relay.events import Event, Stage

_encoder = msgspec.json.Encoder()
_event_decoder = msgspec.json.Decoder(Event)


class _Head(msgspec.Struct):
    job: UUID


_head_decoder = msgspec.json.Decoder(_Head)


class Frame:
    """One event and its text for viewers. Do not change it: all viewers share it.

    Both have the same `url`; for a recording that is stored here it is a path of the site.
    """

    # No dataclass: frames are made and read for each event and viewer.
    __slots__ = ("_wire", "event", "job", "rewound", "seq", "terminal", "text")

    def __init__(self, *, event: Event, text: str, rewound: bool = False) -> None:
        self.event = event
        self.text = text
        #: The newest state of a journal that has gone back in time (a restored database): for
        #: viewers who have seen greater numbers, too.
        self.rewound = rewound
        self.job: UUID = event.job
        self.seq: int = event.seq
        self.terminal: bool = event.stage is not Stage.PROCESSING
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """The text as a WebSocket message of a server, encoded once."""
        if self._wire is None:
            self._wire = websocket_message(self.text)
        return self._wire


def make_frame(event: Event, *, rewound: bool = False) -> Frame:
    """Encode one event for viewers."""
    body: dict[str, Any] = {
        "job": str(event.job),
        "seq": event.seq,
        "stage": event.stage.value,
        "pct": json_number(event.pct),
        "message": event.message,
        "at": timestamp(event.at),
    }
    if event.stage is Stage.DONE:
        body |= {"url": event.url, "denoiseId": str(event.job), **_warning(event)}
    if rewound:
        body["rewound"] = True
    return Frame(event=event, text=to_json(body), rewound=rewound)


def parse_frame(text: str) -> Frame:
    """Decode a frame that came through the channel layer. Raises `msgspec.DecodeError`."""
    return Frame(event=_event_decoder.decode(text), text=text)


def job_of(text: str) -> UUID:
    """The job of a frame that came through the channel layer, at a fifth of the cost of
    `parse_frame`. Raises `msgspec.DecodeError`."""
    return _head_decoder.decode(text).job


def contract_payload(event: Event) -> str:
    """Encode one event in the upstream contract's form, which has no job and no seq."""
    body: dict[str, Any]
    match event.stage:
        case Stage.PROCESSING:
            body = {"stage": "processing", "pct": json_number(event.pct)}
            if event.message:
                body["message"] = event.message
        case Stage.DONE:
            body = {"stage": "done", "url": event.url, "denoiseId": str(event.job)}
            body |= _warning(event)
        case Stage.ERROR:
            body = {"stage": "error", "message": event.message}
    return to_json(body)


def _warning(event: Event) -> dict[str, str]:
    """An extension of the contract; most results have none."""
    return {"warning": event.warning} if event.warning else {}


def websocket_message(text: str) -> bytes:
    """Encode one unfragmented, uncompressed text message, as a server sends it.

    https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    """
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def sse_message(payload: str, *, seq: int | None = None) -> bytes:
    """Encode one SSE message. `payload` is JSON, so it holds no line break."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}data: {payload}\n\n".encode()


def to_json(body: Any) -> str:
    """Encode a value of plain types."""
    return _encoder.encode(body).decode()


def json_number(pct: float) -> float | int:
    """A percentage as it is sent: 62.0 as 62, 62.5 as 62.5."""
    return int(pct) if pct == int(pct) else pct


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as JavaScript prints it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_after(text: str) -> int | None:
    """Parse `?after=` or `Last-Event-ID`; None when it is empty.

    Raises `ValueError` when it is no whole number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(text)
    return min(int(text), 2**31 - 1)
