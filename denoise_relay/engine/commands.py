"""What the engine can do, each in a child process of its own (`process`)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from denoise_relay.engine import process
from denoise_relay.engine.cores import Cores
from denoise_relay.engine.errors import EngineCrashed, MediaRejected
from denoise_relay.engine.presets import Preset
from denoise_relay.engine.process import TimedOut
from denoise_relay.engine.protocol import Analysis, Excerpt, Probe, Segment, Verification
from denoise_relay.engine.segments import segments_beside

#: What `analyse` writes.
ANALYSIS_FILES: Final = (
    "original.peaks",
    "denoised.peaks",
    "comparison.flac",
    "spectrogram-original.webp",
    "spectrogram-denoised.webp",
)
#: How long the waveform of a probe may take.
_PEAKS_SECONDS: Final = 8.0


async def probe(
    path: str | os.PathLike[str],
    *,
    max_duration_seconds: float | None = None,
    rescue: bool = False,
    peaks: str | os.PathLike[str] | None = None,
    timeout_seconds: float = 30.0,
) -> Probe:
    """Measure a file in a child process. May be cancelled and repeated.

    With `peaks`, a name that must be new, the waveform of a good file is written there: signed
    bytes, a minimum and a maximum for each `Probe.samples_per_pixel` samples, all channels taken
    together. That is 0, and no file is there, where a waveform cannot be made, or not within 8 s
    or a third of the time; the answer is otherwise the same. With `rescue`, a file of which a part
    is missing is `Probe.damaged`, if a second or more can be read; `convert` then makes a whole
    file of the rest.

    Raises `MediaRejected` (with `too_slow` after `timeout_seconds`), `EngineUnavailable`,
    `EngineCrashed`, or `OSError` if there is no such file.
    """
    command = ["probe"]
    if max_duration_seconds is not None:
        command += ["--max-duration-seconds", str(float(max_duration_seconds))]
    if rescue:
        command.append("--rescue")
    source = absolute(path)
    waveform = None if peaks is None else absolute(peaks)
    if waveform is not None:
        seconds = min(_PEAKS_SECONDS, timeout_seconds / 3)
        command += ["--peaks", str(waveform), "--peaks-seconds", str(seconds)]
    found: Probe | None = None
    try:
        found = await process.run(
            [*command, "--", str(source)],
            returns=Probe,
            reads=[source],
            on_progress=no_progress,
            timeout_seconds=timeout_seconds,
        )
        return found
    except TimedOut as exc:
        raise MediaRejected("too_slow") from exc
    finally:
        if waveform is not None and (found is None or not found.samples_per_pixel):
            waveform.unlink(missing_ok=True)


async def denoise(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    preset: Preset = "best",
    cores: Cores | None = None,
    on_progress: Callable[[float, str], None],
    on_segment: Callable[[Segment], None] | None = None,
    timeout_seconds: float = 3600.0,
) -> Probe:
    """Denoise `source` into the FLAC file `target`, which appears whole or not at all.

    `preset` chooses the model (`engine.presets`). `cores` are shared with the other engines that
    run with them; without it the work takes one. On more than one the result may differ from that
    of one by about -30 dB of its level (docs/engines.md).
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
        cores.share() if cores else contextlib.nullcontext() as share,
    ):
        if share is not None:
            options = ["--cores", str(share.cores), *options]
        return await process.run(
            ["denoise", "--preset", preset, *options, "--", str(before), str(unfinished)],
            returns=Probe,
            reads=[before],
            on_progress=on_progress,
            segments=segments,
            share=share,
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


async def analyse(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    loudness_changed: bool = False,
    timeout_seconds: float = 600.0,
) -> Analysis:
    """Measure a recording and its result, and write what a player needs into `folder`, which must
    exist and be empty: all of `ANALYSIS_FILES`, or none of them after an error.

    `original.peaks` and `denoised.peaks` are waveforms as of `probe`, but at
    `Analysis.sample_rate`. `comparison.flac` has the recording's channels and then the result's,
    sample by sample, as long as the recording; if one of them is louder than full scale, both are
    made quieter. The spectrograms are pictures, both on one scale.

    With `loudness_changed` the result's level is compared (`Analysis.removed_gain`). May be
    cancelled and repeated. Raises `MediaRejected` if one of the files cannot be read,
    `EngineUnavailable`, `EngineCrashed`, or `OSError` if one of them is not there.
    """
    recording, result, place = absolute(before), absolute(after), absolute(folder)
    command = ["analyse", *(["--loudness-changed"] if loudness_changed else [])]
    try:
        with no_result_in_time(timeout_seconds):
            return await process.run(
                [*command, "--", str(recording), str(result), str(place)],
                returns=Analysis,
                reads=[recording, result, place],
                on_progress=no_progress,
                timeout_seconds=timeout_seconds,
            )
    except BaseException:
        for name in ANALYSIS_FILES:
            (place / name).unlink(missing_ok=True)
        raise


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
