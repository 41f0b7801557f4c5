"""What the engine can do, each in a child process of its own (`process`)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from denoise_relay.engine import process
from denoise_relay.engine.errors import EngineCrashed, MediaRejected
from denoise_relay.engine.presets import Preset
from denoise_relay.engine.process import TimedOut
from denoise_relay.engine.protocol import Excerpt, Probe, Segment, Verification
from denoise_relay.engine.segments import segments_beside


async def probe(
    path: str | os.PathLike[str],
    *,
    max_duration_seconds: float | None = None,
    timeout_seconds: float = 30.0,
) -> Probe:
    """Measure a file in a child process. May be cancelled and repeated.

    Raises `MediaRejected` (with `too_slow` after `timeout_seconds`), `EngineUnavailable`,
    `EngineCrashed`, or `OSError` if there is no such file.
    """
    command = ["probe"]
    if max_duration_seconds is not None:
        command += ["--max-duration-seconds", str(float(max_duration_seconds))]
    try:
        source = absolute(path)
        return await process.run(
            [*command, "--", str(source)],
            returns=Probe,
            reads=[source],
            on_progress=no_progress,
            timeout_seconds=timeout_seconds,
        )
    except TimedOut as exc:
        raise MediaRejected("too_slow") from exc


async def denoise(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    preset: Preset = "best",
    on_progress: Callable[[float, str], None],
    on_segment: Callable[[Segment], None] | None = None,
    timeout_seconds: float = 3600.0,
) -> Probe:
    """Denoise `source` into the FLAC file `target`, which appears whole or not at all.

    `preset` chooses the model (`engine.presets`).
    `on_progress(pct, message)` is called in this event loop, with `pct` rising from 0 to 100, and
    `on_segment` with each `SEGMENT_SECONDS` of the clean recording as soon as they are there;
    without it nothing of that is computed. An exception from either ends the work. May be
    cancelled: the child is killed and nothing is left behind. May be repeated: an existing target
    is replaced. The result has the input's channels (a downmix to stereo if there are more than 2),
    rate and number of samples. Raises `MediaRejected`, `EngineUnavailable`, `EngineCrashed` (also
    after `timeout_seconds`), or `OSError` if there is no such file.
    """
    before = absolute(source)
    with (
        whole_or_absent(absolute(target)) as unfinished,
        segments_beside(unfinished, on_segment) as (segments, options),
        no_result_in_time(timeout_seconds),
    ):
        return await process.run(
            ["denoise", "--preset", preset, *options, "--", str(before), str(unfinished)],
            returns=Probe,
            reads=[before],
            on_progress=on_progress,
            segments=segments,
            timeout_seconds=timeout_seconds,
            preset=preset,
        )


async def verify(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    *,
    timeout_seconds: float = 600.0,
) -> Verification:
    """Compare a result with its recording; about a hundredth of the recording's length.

    May be cancelled and repeated. Raises `MediaRejected` if the recording cannot be read (a result
    that cannot be read is in the answer), `EngineUnavailable`, `EngineCrashed`, or `OSError` if one
    of the files is not there.
    """
    recording, result = absolute(before), absolute(after)
    with no_result_in_time(timeout_seconds):
        return await process.run(
            ["verify", "--", str(recording), str(result)],
            returns=Verification,
            reads=[recording, result],
            on_progress=no_progress,
            timeout_seconds=timeout_seconds,
        )


async def excerpt(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    seconds: float,
    timeout_seconds: float = 120.0,
) -> Excerpt:
    """Cut the passage with most speech out of a recording, into the FLAC file `target`, which
    appears whole or not at all. Without speech it is the loudest passage.

    May be cancelled and repeated. Raises `MediaRejected` (with `too_slow` after `timeout_seconds`),
    `EngineUnavailable`, `EngineCrashed`, or `OSError` if there is no such file.
    """
    before = absolute(source)
    with whole_or_absent(absolute(target)) as unfinished:
        try:
            return await process.run(
                ["excerpt", "--seconds", str(float(seconds)), "--", str(before), str(unfinished)],
                returns=Excerpt,
                reads=[before],
                on_progress=no_progress,
                timeout_seconds=timeout_seconds,
            )
        except TimedOut as exc:
            raise MediaRejected("too_slow") from exc


@contextlib.contextmanager
def whole_or_absent(target: Path) -> Iterator[Path]:
    """A name to write to, which becomes `target` when the block ends well, and is deleted
    otherwise."""
    unfinished = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield unfinished
        if not unfinished.exists():
            raise EngineCrashed("the child reported success without a result")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def no_result_in_time(timeout_seconds: float) -> Iterator[None]:
    """Turns the end of the time into a crash: the file is known to be good."""
    try:
        yield
    except TimedOut as exc:
        raise EngineCrashed(f"no result within {timeout_seconds:g} s") from exc


def absolute(path: str | os.PathLike[str]) -> Path:
    """A path that cannot be mistaken for an option."""
    return Path(os.path.abspath(path))


def no_progress(pct: float, message: str) -> None:
    """For commands without progress."""
