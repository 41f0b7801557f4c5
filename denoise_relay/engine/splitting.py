"""What the engine does for recordings that are too long for one submission (`worker.parts`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from denoise_relay.engine import process
from denoise_relay.engine.commands import absolute, no_progress, no_result_in_time, whole_or_absent
from denoise_relay.engine.protocol import Cut, PartsPlan

#: How long the child may take: decoding an hour takes about half a minute.
TIMEOUT_SECONDS: Final = 1800.0


async def plan_parts(
    source: Path, *, max_seconds: float, max_bytes: int, overlap_seconds: float
) -> PartsPlan:
    """Where to cut a recording, in pauses; each part with its overlap is within both limits.

    May be cancelled and repeated, with the same plan. Raises `MediaRejected` (`too_long` if that
    takes too many parts), `EngineUnavailable`, `EngineCrashed`, or `OSError`.
    """
    path = absolute(source)
    with no_result_in_time(TIMEOUT_SECONDS):
        return await process.run(
            [
                "plan",
                *("--max-seconds", str(float(max_seconds))),
                *("--max-bytes", str(max_bytes)),
                *("--overlap-seconds", str(float(overlap_seconds))),
                *("--", str(path)),
            ],
            returns=PartsPlan,
            reads=[path],
            on_progress=no_progress,
            timeout_seconds=TIMEOUT_SECONDS,
        )


async def cut_part(source: Path, target: Path, *, start: int, end: int, max_bytes: int) -> None:
    """Write the samples from `start` to `end` to `target`, as FLAC of at most `max_bytes`."""
    path = absolute(source)
    with (
        whole_or_absent(absolute(target)) as unfinished,
        no_result_in_time(TIMEOUT_SECONDS),
    ):
        await process.run(
            [
                "cut",
                *("--start", str(start), "--end", str(end)),
                *("--max-bytes", str(max_bytes)),
                *("--", str(path), str(unfinished)),
            ],
            returns=Cut,
            reads=[path],
            on_progress=no_progress,
            timeout_seconds=TIMEOUT_SECONDS,
        )


async def join_parts(
    source: Path, results: Sequence[Path], target: Path, *, plan: PartsPlan, overlap: int
) -> None:
    """Join the results of the parts, in order, to `target`: in step with the source, equally loud,
    as long as it. `overlap` is in samples."""
    before = absolute(source)
    parts = [absolute(path) for path in results]
    with (
        whole_or_absent(absolute(target)) as unfinished,
        no_result_in_time(TIMEOUT_SECONDS),
    ):
        await process.run(
            [
                "join",
                *("--rate", str(plan.rate), "--channels", str(plan.channels)),
                *("--total", str(plan.total), "--overlap", str(overlap)),
                *("--cuts", *map(str, plan.cuts)),
                *("--", str(before), str(unfinished), *map(str, parts)),
            ],
            returns=Cut,
            reads=[before, *parts],
            on_progress=no_progress,
            timeout_seconds=TIMEOUT_SECONDS,
        )
