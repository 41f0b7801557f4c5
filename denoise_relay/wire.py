"""Frames as they travel: the JSON text of a WebSocket or SSE message. Pure, encode once.

Keys and shapes are those of docs/architecture.md and, for the north API, the upstream
contract's "live progress".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from denoise_relay.events import Event, Stage

_encoder = msgspec.json.Encoder()


def number(pct: float) -> float | int:
    """62.0 travels as 62, 62.5 as 62.5."""
    return int(pct) if pct == int(pct) else pct


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as JavaScript prints it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def frame(event: Event, url: str = "") -> str:
    """Encode one event for viewers; `url` is where a `done` recording can be played."""
    body: dict[str, Any] = {
        "job": str(event.job),
        "seq": event.seq,
        "stage": event.stage.value,
        "pct": number(event.pct),
        "message": event.message,
        "at": timestamp(event.at),
    }
    if event.stage is Stage.DONE:
        body |= {"url": url or event.url, "denoiseId": str(event.job)}
    return encode(body)


def contract_payload(event: Event, url: str = "") -> str:
    """Encode one event as the upstream contract words it (no job, no seq)."""
    body: dict[str, Any]
    match event.stage:
        case Stage.PROCESSING:
            body = {"stage": "processing", "pct": number(event.pct)}
            if event.message:
                body["message"] = event.message
        case Stage.DONE:
            body = {"stage": "done", "url": url or event.url, "denoiseId": str(event.job)}
        case Stage.ERROR:
            body = {"stage": "error", "message": event.message}
    return encode(body)


def encode(body: Any) -> str:
    """JSON text of a value of plain types."""
    return _encoder.encode(body).decode()


def sse(payload: str, *, seq: int | None = None) -> bytes:
    """One SSE message; `payload` is JSON and so holds no line break."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}data: {payload}\n\n".encode()
