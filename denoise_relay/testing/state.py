"""What a scripted upstream knows: its scripts, the requests that came, and its jobs."""

from __future__ import annotations

import io
import math
import struct
import time
import uuid
import wave
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from denoise_relay.testing import answers
from denoise_relay.testing.answers import Answer
from denoise_relay.testing.http1 import Head

#: Requests that are remembered; the counts go on.
MAX_SEEN = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen(Head):
    """A request as it arrived."""

    route: str


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
    #: What it returns; None is the `result` of the upstream.
    result: bytes | None = None
    #: The `Idempotency-Key` of its submission.
    key: str = ""

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


def tone_wav(seconds: float = 0.1) -> bytes:
    """A valid WAV of a soft tone (480 Hz, -23 dBFS): mono, 48 kHz, 16 bits."""
    period = [round(3276 * math.sin(2 * math.pi * i / 100)) for i in range(100)]
    samples = struct.pack("<100h", *period) * (int(48_000 * seconds) // 100 + 1)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples[: 2 * int(48_000 * seconds)])
    return buffer.getvalue()


class UpstreamState:
    """The half of a scripted upstream that has no network: what to answer, and what came.

    Routes are `submit`, `progress`, `list`, `result`, `cancel`, `waveform` and `preview`.
    `on_submit(*answers)` and so on queue answers, one for each request; when a queue is empty the
    contract is followed.
    """

    def __init__(self, *, key: str = "scripted-key") -> None:
        self.key = key
        #: Scheme, host and port, once the server listens.
        self.origin = ""
        self.counts: Counter[str] = Counter()
        self.seen: deque[Seen] = deque(maxlen=MAX_SEEN)
        self.uploads: list[Upload] = []
        self.records: list[Record] = []
        #: The events of a job's stream before its terminal event.
        self.events: list[bytes] = [
            answers.processing(15, "Extracting audio"),
            answers.processing(62, "Running noise reduction"),
        ]
        self.result = tone_wav()
        self.result_type = "audio/wav"
        #: Makes the result of an upload, where it is to be more than `result`.
        self.transform: Callable[[bytes], bytes] | None = None
        #: What it understands beyond the contract, as a relay does: `idempotency-key`, `cancel`,
        #: `preview`.
        self.extensions: tuple[str, ...] = ()
        #: With `preview`: the sound of each segment of 4 s of every job that runs, FLAC. Their
        #: shapes are of 750 pixels, each from minus to plus the segment's number.
        self.segments: list[bytes] = []
        #: Records on one page of the history, whatever `limit` asks for.
        self.page_cap = MAX_SEEN
        self._scripts: dict[str, deque[Answer]] = {
            route: deque()
            for route in ("submit", "progress", "list", "result", "waveform", "preview")
        }

    def on_submit(self, *script: Answer) -> None:
        self._scripts["submit"].extend(script)

    def on_progress(self, *script: Answer) -> None:
        self._scripts["progress"].extend(script)

    def on_list(self, *script: Answer) -> None:
        self._scripts["list"].extend(script)

    def on_result(self, *script: Answer) -> None:
        self._scripts["result"].extend(script)

    def on_waveform(self, *script: Answer) -> None:
        self._scripts["waveform"].extend(script)

    def on_preview(self, *script: Answer) -> None:
        self._scripts["preview"].extend(script)

    def forget_scripts(self) -> None:
        """Follow the contract from now on."""
        for script in self._scripts.values():
            script.clear()

    def result_of(self, record_id: str) -> bytes:
        """What a job returns."""
        found = next((record for record in self.records if record.id == record_id), None)
        return self.result if found is None or found.result is None else found.result

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
