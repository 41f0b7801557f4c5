"""Takes the segments that a child has written, in the trusted parent.

The child handles hostile files, so each line and each file that it writes is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from denoise_relay.engine import protocol
from denoise_relay.engine.protocol import SEGMENT_SECONDS, Segment, SegmentLine
from denoise_relay.waveform import PIXEL_BYTES

#: Uncompressed, `SEGMENT_SECONDS` at 24 kHz take 192,000 bytes.
_MAX_AUDIO_BYTES: Final = 256 * 1024
_MAX_PEAKS_BYTES: Final = 8 * 1024
_MAX_RATE: Final = 1_000_000
_FLAC_MAGIC: Final = b"fLaC"
#: A segment may be this much longer than it should, for the rounding.
_SLACK_SECONDS: Final = 1e-6


class Segments:
    """The segments of one recording: their folder, and who is told of them."""

    def __init__(self, folder: Path, on_segment: Callable[[Segment], None]) -> None:
        self._folder = folder
        #: Called in the event loop with each segment.
        self.on_segment = on_segment
        self._first: SegmentLine | None = None
        self._next = 0

    async def take(self, fields: object) -> Segment:
        """The segment of which the child has said these fields; its files are deleted.

        Raises `ValueError` for what the child would not say or write, and `OSError` if a file is
        not there. May be cancelled.
        """
        line = self._checked(protocol.read_record(SegmentLine, fields))
        return await asyncio.get_running_loop().run_in_executor(None, self._read, line)

    def _checked(self, line: SegmentLine) -> SegmentLine:
        first = self._first or line
        if not (
            line.number == self._next < protocol.MAX_SEGMENTS
            and 0 < line.duration_seconds <= first.duration_seconds
            and first.duration_seconds <= SEGMENT_SECONDS + _SLACK_SECONDS
            and line.sample_rate == first.sample_rate
            and line.samples_per_pixel == first.samples_per_pixel
            and line.samples_per_pixel > 0
            and 0 < line.sample_rate <= _MAX_RATE
        ):
            raise ValueError(f"segment is {line!r}")
        self._first = first
        # After a shorter one nothing comes.
        shorter = line.duration_seconds < first.duration_seconds
        self._next = protocol.MAX_SEGMENTS if shorter else line.number + 1
        return line

    def _read(self, line: SegmentLine) -> Segment:
        """Blocking."""
        peaks = _taken(self._folder / f"{line.number}.peaks", _MAX_PEAKS_BYTES)
        audio = _taken(self._folder / f"{line.number}.flac", _MAX_AUDIO_BYTES)
        samples = round(line.duration_seconds * line.sample_rate)
        pixels = -(-samples // line.samples_per_pixel)
        if len(peaks) != pixels * PIXEL_BYTES or not audio.startswith(_FLAC_MAGIC):
            raise ValueError(f"segment {line!r} has {len(peaks)} bytes of peaks")
        return Segment(
            number=line.number,
            duration_seconds=line.duration_seconds,
            sample_rate=line.sample_rate,
            samples_per_pixel=line.samples_per_pixel,
            peaks=peaks,
            audio=audio,
        )


def _taken(path: Path, max_bytes: int) -> bytes:
    """The content of a file, which is deleted. Blocking, but not by what the child put there."""
    # No other file through a link, and no waiting for who writes into a pipe.
    descriptor = os.open(path, os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK"))
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path.name} is not a file")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"{path.name} is larger than {max_bytes} bytes")
    path.unlink()
    return data


def _flag(name: str) -> int:
    """A flag of `os.open`; 0 on systems that do not have it."""
    return int(getattr(os, name, 0))


@contextlib.contextmanager
def segments_beside(
    target: Path, on_segment: Callable[[Segment], None] | None
) -> Iterator[tuple[Segments | None, list[str]]]:
    """The folder of segments while the block runs, and the child's options for it; none of both
    without `on_segment`."""
    if on_segment is None:
        yield None, []
        return
    folder = target.with_name(f".{secrets.token_hex(8)}.segments")
    folder.mkdir(mode=0o700)
    try:
        yield Segments(folder, on_segment), ["--segments", str(folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
