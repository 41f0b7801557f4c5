"""Makes files of a recording and its clean copy for people: other formats, mixes, loudness."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from denoise_relay.engine import process
from denoise_relay.engine.commands import absolute, no_progress, no_result_in_time, whole_or_absent
from denoise_relay.engine.protocol import Rendering

#: Endings of what `render` writes.
RENDER_FORMATS: Final = ("flac", "wav", "mp3", "m4a", "mp4", "mkv")
#: Those with pictures.
VIDEO_FORMATS: Final = ("mp4", "mkv")


async def render(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    mix: float = 1.0,
    max_attenuation_db: float | None = None,
    loudness_lufs: float | None = None,
    timeout_seconds: float = 3600.0,
    on_progress: Callable[[float, str], None] = no_progress,
) -> Rendering:
    """Write `target`, in the format of its ending (`RENDER_FORMATS`); it appears whole or not at
    all.

    `mix` goes from the recording `before` (0) to its clean copy `after` (1). With
    `max_attenuation_db`, what was removed is lowered by so much and not more. `loudness_lufs`
    (-70 to -5) is the integrated loudness by ITU-R BS.1770, with true peaks below -1 dB. The result
    has the rate (MP3, M4A and videos: up to 48 kHz) and the length of `after`, and the channels of
    the one that has more. MP3 has a constant 192 kbit/s. MP4 and MKV have the pictures of `before`
    as they are, and the sound where the old one was; subtitles stay where the container can hold
    them.

    `on_progress` is as for `denoise`. May be cancelled and repeated. Raises `ValueError` for what
    is out of range, `MediaRejected` (`no_video` where there are no pictures to copy),
    `EngineUnavailable`, `EngineCrashed` (also after `timeout_seconds`), or `OSError` if one of the
    files is not there.
    """
    recording, clean, wanted = absolute(before), absolute(after), absolute(target)
    format = wanted.suffix.lower().removeprefix(".")
    if format not in RENDER_FORMATS:
        raise ValueError(f"there is no format {format!r}: {', '.join(RENDER_FORMATS)}")
    if not 0 <= mix <= 1:
        raise ValueError(f"mix is {mix}")
    options = ["--format", format, "--mix", str(float(mix))]
    if max_attenuation_db is not None:
        if not 0 <= max_attenuation_db <= 200:
            raise ValueError(f"max_attenuation_db is {max_attenuation_db}")
        options += ["--max-attenuation-db", str(float(max_attenuation_db))]
    if loudness_lufs is not None:
        if not -70 <= loudness_lufs <= -5:
            raise ValueError(f"loudness_lufs is {loudness_lufs}")
        options += [f"--loudness-lufs={float(loudness_lufs)}"]
    with whole_or_absent(wanted) as unfinished, no_result_in_time(timeout_seconds):
        return await process.run(
            ["render", *options, "--", str(recording), str(clean), str(unfinished)],
            returns=Rendering,
            reads=[recording, clean],
            on_progress=on_progress,
            timeout_seconds=timeout_seconds,
        )
