"""Makes FLAC of what a backend does not take, in a child process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from denoise_relay.engine import process
from denoise_relay.engine.commands import absolute, no_result_in_time, whole_or_absent
from denoise_relay.engine.protocol import Cut

#: How long the child may take: an hour takes about half a minute.
TIMEOUT_SECONDS: Final = 1800.0


async def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    on_progress: Callable[[float, str], None],
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> float:
    """Write the sound of `source` to the FLAC file `target`, which appears whole or not at all;
    return its length in seconds.

    The result has the samples, the rate (the nearest that FLAC has) and the channels (up to 8) of
    the source; what a lossy codec decodes to is rounded to 16 bits, in quiet passages to 24.
    `on_progress(pct, message)` is called in this event loop, with `pct` rising from 0 to 100. May
    be cancelled and repeated. Raises `MediaRejected`, `EngineUnavailable`, `EngineCrashed` (also
    after `timeout_seconds`), or `OSError` if there is no such file.
    """
    before = absolute(source)
    with (
        whole_or_absent(absolute(target)) as unfinished,
        no_result_in_time(timeout_seconds),
    ):
        done = await process.run(
            ["convert", "--", str(before), str(unfinished)],
            returns=Cut,
            reads=[before],
            on_progress=on_progress,
            timeout_seconds=timeout_seconds,
        )
    return done.duration_seconds
