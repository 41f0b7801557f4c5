"""What a scripted upstream keeps: requests and files as they came, and the jobs made of them."""

from __future__ import annotations

import io
import uuid
import wave
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


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
    #: Not in the history before this moment (monotonic), nor in the first so many answers to
    #: list requests of this upstream's life.
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


def silent_wav(seconds: float = 0.1) -> bytes:
    """A valid, silent WAV: mono, 48 kHz, 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(2 * int(48_000 * seconds)))
    return buffer.getvalue()
