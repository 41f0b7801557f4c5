"""A `Run` that keeps what a backend says, and the parts of a job to give to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from denoise_relay.backends.base import Assignment
from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.engine import Segment
from denoise_relay.exceptions import LeaseLost
from denoise_relay.testing import Record, ScriptedUpstream

#: Reports that are kept word for word; a flood is only counted.
MAX_KEPT = 2000


@dataclass
class RecordedRun:
    """An in-memory `backends.base.Run`."""

    assignment: Assignment
    reports: list[tuple[float, str]] = field(default_factory=list)
    report_count: int = 0
    previews: list[Segment] = field(default_factory=list)
    #: What was committed, in order: `submitting 1`, `not taken 1`, `accepted <id>`.
    commits: list[str] = field(default_factory=list)
    #: From now on every write says that the job is somebody else's.
    lost: bool = False

    def report(self, pct: float, message: str) -> None:
        self._fence()
        self.report_count += 1
        if len(self.reports) < MAX_KEPT:
            self.reports.append((pct, message))

    def preview(self, segment: Segment) -> None:
        self._fence()
        if len(self.previews) < MAX_KEPT:
            self.previews.append(segment)

    async def submitting(self) -> int:
        self._fence()
        self.commits.append(f"submitting {self.attempt + 1}")
        return self.attempt

    async def not_taken(self) -> None:
        self._fence()
        self.commits.append(f"not taken {self.attempt}")

    async def accepted(self, upstream_id: str) -> None:
        self._fence()
        self.commits.append(f"accepted {upstream_id}")

    @property
    def attempt(self) -> int:
        """What a later runner would find in its assignment."""
        begun = sum(commit.startswith("submitting") for commit in self.commits)
        free = sum(commit.startswith("not taken") for commit in self.commits)
        return self.assignment.attempt + begun - free

    @property
    def messages(self) -> list[str]:
        return [message for _pct, message in self.reports]

    @property
    def percents(self) -> list[float]:
        return [pct for pct, _message in self.reports]

    def _fence(self) -> None:
        if self.lost:
            raise LeaseLost


def empty_file(path: Path, mebibytes: int) -> Path:
    """A sparse file of this size."""
    with path.open("wb") as file:
        file.truncate(mebibytes * 1024 * 1024)
    return path


def finished_record(upstream: ScriptedUpstream) -> Record:
    """A job that the upstream has done."""
    record = upstream.add_record("a.wav")
    upstream.finish(record)
    return record


def make_run(source: Path, workspace: Path, **facts: Any) -> RecordedRun:
    """A run of a new job; `facts` override its assignment (`attempt=1`, `upstream_id=…`)."""
    given: dict[str, Any] = {
        "job": uuid.uuid4(),
        "source": source,
        "extension": source.suffix.removeprefix(".").lower(),
        "size_bytes": source.stat().st_size if source.exists() else 0,
        "attempt": 0,
        "submitted_at": datetime.now(UTC) if facts.get("attempt") else None,
        "upstream_id": "",
        "workspace": workspace,
    }
    return RecordedRun(Assignment(**given | facts))


#: The fixtures `new_run` and `new_backend`: facts of an assignment, or settings.
NewRun = Callable[..., RecordedRun]
NewBackend = Callable[..., UpstreamBackend]
