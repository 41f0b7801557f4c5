"""What a backend is: the manual for writing one (see also docs/adding-a-backend.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol
from uuid import UUID

from django.core.checks import CheckMessage
from django.utils.functional import Promise

from denoise_relay.conf import RelaySettings

if TYPE_CHECKING:
    from denoise_relay.engine import Segment


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """One of the ways in which a backend does jobs, for people and programs to choose from."""

    #: Short, stable, unique in its backend, at most 32 characters: `fast`. In rows, forms, API.
    name: str
    #: One or two words for people, translated lazily.
    label: str | Promise
    #: A sentence for people: what they get, and what it costs them.
    description: str | Promise


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The longest and the largest recording that a backend takes at once; None is any."""

    seconds: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """What a recording's file is: its own name's extension, and what was found in it."""

    #: Lower-case, no dot; "" if the name has none.
    extension: str
    #: FFmpeg's short names: `wav`, `mov`, `ogg`…; `pcm_s16le`, `aac`, `opus`…
    container: str
    codec: str
    has_video: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """The facts of a job when a runner takes it, maybe after another runner died with it."""

    job: UUID
    #: A readable local file: the recording, or what it was converted to (`Backend.taken_as`). The
    #: runner fetched it where the storage is remote.
    source: Path
    #: Lower-case, no dot: `wav`, `mp4`…
    extension: str
    size_bytes: int
    #: Submissions begun so far, without those that were surely not taken. Not 0 and no
    #: `upstream_id`: their outcomes are unknown.
    attempt: int
    #: When the last submission began (its intent was committed).
    submitted_at: datetime | None
    #: The backend's own id of the job, once `Run.accepted` has committed it.
    upstream_id: str
    #: Where a backend may write its result; the runner deletes it afterwards.
    workspace: Path
    #: The name of one of the backend's presets; "" if it has none.
    preset: str = ""
    #: Whether `Run.preview` is of any use: a part of a recording is not shown.
    previews: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a job ended well: a file in the workspace to store, or a URL to pass through."""

    file: Path | None = None
    url: str = ""


class Run(Protocol):
    """What a backend may say while it works. Every method is fenced: each raises `LeaseLost`
    when the job is no longer ours, and the backend lets that pass."""

    @property
    def assignment(self) -> Assignment: ...

    def report(self, pct: float, message: str) -> None:
        """Tell how far the work is. Cheap, never blocks, may be called at any rate: the
        journal writer keeps the latest. A falling `pct` is shown as the highest so far."""

    def preview(self, segment: Segment) -> None:
        """Show some seconds of the clean recording to people, while the rest is being made. In
        order, from number 0. Cheap, never blocks; a segment may be lost. Not needed."""

    async def submitting(self) -> int:
        """Commit the intent to submit, as a new attempt, and return its number (1, 2…).
        Returns after the commit: only then may the first byte leave (architecture, rule 6)."""

    async def not_taken(self) -> None:
        """Commit that the last submission surely made no job, once that is certain: its number is
        free again, and a later runner need not search for it."""

    async def accepted(self, upstream_id: str) -> None:
        """Commit that the work has been taken; a later runner finds it in the assignment."""


class Backend(ABC):
    """Does jobs. One instance per process, used from one event loop, many `run`s at a time."""

    #: Short, stable; in the admin, logs and metrics.
    name: ClassVar[str]
    #: What becomes of a result that is silent, too short or unplayable (`worker.verdict`). True: it
    #: may have been paid for, so it is kept, and the job is done with a warning. False: it can be
    #: made again at no cost, so the job ends with an error.
    keeps_bad_results: ClassVar[bool] = True

    def __init__(self, settings: RelaySettings) -> None:
        self.settings = settings

    @property
    def capacity(self) -> int:
        """How many `run`s one process may have at a time; further jobs stay queued and see
        their place. Default: `MAX_ACTIVE_JOBS`."""
        return self.settings.MAX_ACTIVE_JOBS

    @property
    def limits(self) -> Limits:
        """What one `run` takes. A longer or larger recording comes in parts, each as a run of its
        own, and the results are joined (`worker.parts`). Default: anything."""
        return Limits()

    def taken_as(self, media: Media) -> str | None:
        """The extension under which this backend takes such a file as it is; None if it does not.
        Then its `source` is FLAC, with all of its sound (`worker.conversion`), where the engine is
        installed. Default: anything, under its own extension."""
        return media.extension

    @property
    def sound_only(self) -> bool:
        """Whether the sound of a recording is better than all of its file, because the file has to
        travel. Then `source` is the audio track of a video, copied where `taken_as` allows it.
        Default: false."""
        return False

    @classmethod
    def presets(cls, settings: RelaySettings) -> Sequence[Preset]:
        """The ways to do a job that work here, the default first. Called for pages and requests,
        in other processes than the runner's, too: cheap, no I/O beyond the disk.

        Default: none, so that there is nothing to choose.
        """
        return ()

    @abstractmethod
    async def run(self, run: Run) -> Result:
        """Do the job, from wherever its assignment says it stands, and return the result.

        Raise `JobFailed` to end the job with words for a person. Anything transient is
        yours to retry, with back-off; the runner ends the job at its deadline by
        cancelling you. Cancellation also means "lease lost" and "process stopping": free
        what you hold, let `CancelledError` pass, and expect another runner to go on.
        """

    async def cancel(self, upstream_id: str) -> None:  # noqa: B027 - most cannot
        """Stop the work with this id (`Run.accepted`), which a person has canceled. A favour: it
        may never be called, and what it raises is only logged."""

    async def aclose(self) -> None:  # noqa: B027 - most backends hold nothing
        """Free what the instance holds. Called once, when the process's supervisor stops."""

    @classmethod
    def check(cls, settings: RelaySettings) -> Sequence[CheckMessage]:
        """System-check messages about this backend's configuration; no I/O beyond the disk."""
        return []
