"""Makes the files that people download: a mix, a loudness, a format; for a video, a video."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from denoise_relay.engine.child import limits
from denoise_relay.engine.child.audio_file import (
    KINDS,
    AudioFile,
    FlacFile,
    Kind,
    largest_audio_bytes,
)
from denoise_relay.engine.child.limiter import MOST_GAIN_DB, GainCurve, gain_curve
from denoise_relay.engine.child.loudness import BlockLoudnessMeter, TruePeakMeter
from denoise_relay.engine.child.mix import Mix
from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.child.video_file import VideoFile
from denoise_relay.engine.protocol import Rendering

#: dBTP that a normalised file stays below, and by how much it is kept below that: encoders that
#: lose something move peaks.
_CEILING_DB: Final = -1.0
_MARGIN_DB: Final = 0.2
_LOSSY_MARGIN_DB: Final = 1.0
#: A clean copy may be this much longer than its recording; what comes after is left out.
_OVERRUN: Final = (1.1, 10.0)


def render_files(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str,
    share: float,
    loudness_lufs: float | None,
    on_progress: Callable[[float], None],
) -> Rendering:
    """Write `target`, which must be new, as a file of the kind `format`.

    `share` is how much of the recording is in it (`mix`). `on_progress` gets the share done, 0 to
    1. Memory does not grow with the length, but for 880 bytes a second where the loudness is
    changed. Raises `MediaRejected`.
    """
    kind = KINDS[format]
    probe = probe_file(before)
    factor, seconds = _OVERRUN
    longest = probe.duration_seconds * factor + seconds
    passes = 1 if loudness_lufs is None else 2
    reading = _Progress(on_progress, probe.duration_seconds * passes)
    gains: GainCurve | None = None
    if loudness_lufs is not None:
        with Mix(before, after, share=share) as mix:
            gains = _measure(mix, kind, loudness_lufs, longest, reading)
    with Mix(before, after, share=share) as mix:
        largest = largest_audio_bytes(kind, longest, rate=mix.rate)
        if kind.has_video:
            largest += Path(before).stat().st_size * 2
        limits.bound_output(largest)
        exact = gains is None and not share
        written = _write(mix, before, target, kind, gains, longest, reading, exact=exact)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return Rendering(duration_seconds=written / mix.rate, gain_db=gains.gain_db if gains else 0.0)


def _measure(
    mix: Mix, kind: Kind, loudness_lufs: float, longest: float, reading: _Progress
) -> GainCurve:
    margin = _LOSSY_MARGIN_DB if kind.bit_rates else _MARGIN_DB
    ceiling = 10 ** ((_CEILING_DB - margin) / 20)
    loudness = BlockLoudnessMeter(channels=mix.channels, rate=mix.rate)
    least = ceiling * 10 ** (-MOST_GAIN_DB / 20)
    peaks = TruePeakMeter(channels=mix.channels, rate=mix.rate, least=least)
    for piece in mix.pieces(round(longest * mix.rate)):
        loudness.push(piece)
        peaks.push(piece)
        reading.add(piece.shape[1] / mix.rate)
    return gain_curve(loudness.blocks(), peaks.finish(), target_lufs=loudness_lufs, ceiling=ceiling)


def _write(
    mix: Mix,
    before: str | os.PathLike[str],
    target: str | os.PathLike[str],
    kind: Kind,
    gains: GainCurve | None,
    longest: float,
    reading: _Progress,
    *,
    exact: bool,
) -> int:
    """Samples at the mix's rate."""
    written = 0

    def copy(file: AudioFile | FlacFile | VideoFile) -> None:
        nonlocal written
        for piece in mix.pieces(round(longest * mix.rate)):
            file.write(gains.apply(piece) if gains else piece)
            written += piece.shape[1]
            reading.add(piece.shape[1] / mix.rate)
        file.finish()

    shape = {"channels": mix.channels, "rate": mix.rate}
    if kind.has_video:
        with VideoFile(before, target, kind, **shape) as video:
            copy(video)
    elif kind.codec == "flac":
        copy(FlacFile(target, kind, **shape, exact=exact))
    else:
        copy(AudioFile(target, kind, **shape))
    return written


class _Progress:
    """The share of the passes that is done."""

    def __init__(self, on_progress: Callable[[float], None], seconds: float) -> None:
        self._on_progress, self._seconds = on_progress, max(seconds, 1e-3)
        self._done = 0.0

    def add(self, seconds: float) -> None:
        self._done += seconds
        self._on_progress(min(self._done / self._seconds, 1.0))
