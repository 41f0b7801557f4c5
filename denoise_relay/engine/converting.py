"""Makes a file of a recording's sound for a backend, in a child process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from denoise_relay.engine import process
from denoise_relay.engine.commands import absolute, no_result_in_time, whole_or_absent
from denoise_relay.engine.protocol import Conversion

#: How long the child may take: an hour takes about half a minute.
TIMEOUT_SECONDS: Final = 1800.0
#: The ending and the container of a file to which a track with this codec may be copied.
COPIED_AS: Final = {
    "aac": ("m4a", "mov"),
    "alac": ("m4a", "mov"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "mp3"),
    "opus": ("ogg", "ogg"),
    "vorbis": ("ogg", "ogg"),
}


async def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    on_progress: Callable[[float, str], None],
    copy: str = "",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Conversion:
    """Write the sound of `source` to the file `target`, which appears whole or not at all.

    It is FLAC with the samples, the rate (the nearest that FLAC has) and the channels (up to 8) of
    the source; what a lossy codec decodes to is rounded to 16 bits, in quiet passages to 24. With
    `copy`, an ending of `COPIED_AS`, it is a file of that kind with the packets of the source as
    they are, if that decodes to the same samples.

    `on_progress(pct, message)` is called in this event loop, with `pct` rising from 0 to 100. May
    be cancelled and repeated. Raises `MediaRejected`, `EngineUnavailable`, `EngineCrashed` (also
    after `timeout_seconds`), or `OSError` if there is no such file.
    """
    before = absolute(source)
    with (
        whole_or_absent(absolute(target)) as unfinished,
        no_result_in_time(timeout_seconds),
    ):
        return await process.run(
            [
                "convert",
                *(("--copy", copy) if copy else ()),
                *("--", str(before), str(unfinished)),
            ],
            returns=Conversion,
            reads=[before],
            on_progress=on_progress,
            timeout_seconds=timeout_seconds,
        )
