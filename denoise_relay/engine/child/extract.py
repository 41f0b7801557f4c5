"""Takes the sound out of a file as it is: packets are copied, nothing is encoded again."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import av
import av.error
import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, decode
from denoise_relay.engine.child.resample import LAYOUTS
from denoise_relay.engine.errors import MediaRejected

#: The muxer of each ending that a copy may have (`engine.converting`).
_MUXERS: Final = {"m4a": "ipod", "mp3": "mp3", "ogg": "ogg", "flac": "flac"}
#: A header of MP3 would announce an encoder's delay where the source has none.
_OPTIONS: Final = {"mp3": {"write_xing": "0", "id3v2_version": "0"}}
#: Containers pad the last packet differently.
_TAIL_SECONDS: Final = 0.1


def extract_track(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, extension: str
) -> bool:
    """Copy the track of `source` to `target`, which must be new; false if the copy would not sound
    the same, and what is in `target` then is of no use.

    The copy is decoded beside the source: containers say differently what a decoder skips at the
    start, and some cannot hold what others can.
    """
    try:
        _copy(source, target, _MUXERS[extension])
        return _sounds_the_same(source, target)
    except (av.error.MemoryError, av.error.PyAVCallbackError):
        raise
    except (av.error.FFmpegError, MediaRejected, ValueError, struct.error):
        return False


def _copy(source: str | os.PathLike[str], target: str | os.PathLike[str], muxer: str) -> None:
    with (
        open(source, "rb") as file,
        open_container(Source(file)) as before,
        av.open(os.fspath(target), "w", format=muxer, options=_OPTIONS.get(muxer, {})) as after,
    ):
        track = audio_stream(before)
        copy: Any = after.add_stream_from_template(track, opaque=True)
        unit = Fraction(1, track.codec_context.sample_rate)
        start: int | None = None
        skipped = 0
        packet: Any
        for packet in before.demux(track):
            if packet.dts is None or not packet.size:
                continue
            shown = packet.dts if packet.pts is None else packet.pts
            if start is None:
                # The first sample that is played is at 0, what a decoder skips before it: sound
                # that starts later than the pictures starts here.
                start, skipped = shown, _skipped(packet)
            scale = packet.time_base / unit
            packet.dts = round((packet.dts - start) * scale) - skipped
            packet.pts = round((shown - start) * scale) - skipped
            packet.duration = round((packet.duration or 0) * scale)
            packet.time_base = unit
            packet.stream = copy
            after.mux(packet)


def _skipped(packet: Any) -> int:
    """Samples at the start of a packet that are not played."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    (count,) = struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))
    return int(count)


def _sounds_the_same(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> bool:
    """Whether both decode to the same samples, but for the last moment."""
    before, after = _blocks(source), _blocks(target)
    old, new = next(before, None), next(after, None)
    while old is not None and new is not None:
        if old.rate != new.rate or len(old.samples) != len(new.samples):
            return False
        count = min(old.samples.shape[1], new.samples.shape[1])
        if not np.array_equal(old.samples[:, :count], new.samples[:, :count]):
            return False
        old, new = _rest(old, count) or next(before, None), _rest(new, count) or next(after, None)
    return _seconds(old, before) <= _TAIL_SECONDS and _seconds(new, after) <= _TAIL_SECONDS


def _rest(block: Block, count: int) -> Block | None:
    samples = block.samples[:, count:]
    return Block(samples=samples, rate=block.rate) if samples.shape[1] else None


def _seconds(block: Block | None, others: Iterator[Block]) -> float:
    """The length of what is left, as far as that matters."""
    seconds = 0.0
    while block is not None and seconds <= _TAIL_SECONDS:
        seconds += block.samples.shape[1] / block.rate
        block = next(others, None)
    return seconds


def _blocks(path: str | os.PathLike[str]) -> Iterator[Block]:
    with open(path, "rb") as file, open_container(Source(file)) as container:
        yield from decode(container, audio_stream(container), most_channels=max(LAYOUTS))
