"""What a copy of a video stream needs and its container does not say without a decoder.

Decoders of video are the larger part of FFmpeg's attack surface, so there are none here. Without
them it knows neither when the pictures of Matroska are to be decoded, nor the size of MPEG-4's.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Discard, Stream

from denoise_relay.engine.child.container import Source, open_container

#: A container that has times of presentation only.
_WITHOUT_DECODING_TIMES: Final = "matroska"


def packets(
    source: str | os.PathLike[str],
    container: InputContainer,
    wanted: set[int],
    start: Fraction,
) -> Iterator[Any]:
    """The packets of the streams with these numbers, with `start` as the time 0, and with times
    that every muxer takes: those of decoding rise, and none is after its picture is shown."""
    made_up: dict[int, Iterator[int]] = {}
    if container.format.name.startswith(_WITHOUT_DECODING_TIMES):
        made_up = {
            stream.index: iter(_decoding_times(source, stream.index).tolist())
            for stream in container.streams.video
            if stream.index in wanted
        }
    for stream in container.streams:
        if stream.index not in wanted:
            stream.discard = Discard.all
    last: dict[int, int] = {}
    packet: Any
    for packet in container.demux():
        index = packet.stream.index
        if index not in wanted or (packet.dts is None and packet.pts is None):
            continue
        shift = round(start / packet.time_base)
        shown, decoded = packet.pts, packet.dts
        shown = (decoded if shown is None else shown) - shift
        decoded = shown if decoded is None else decoded - shift
        if index in made_up:
            decoded = next(made_up[index], decoded + shift) - shift
        if index in last:
            decoded = max(decoded, last[index] + 1)
        packet.dts, packet.pts = decoded, max(shown, decoded)
        last[index] = decoded
        yield packet


def _decoding_times(source: str | os.PathLike[str], index: int) -> npt.NDArray[np.int64]:
    """When each packet of a stream is to be decoded, in its own unit: in equal steps of the
    pictures, and as late as the order of the packets allows."""
    shown = array("q")
    with open(source, "rb") as file, open_container(Source(file)) as container:
        for stream in container.streams:
            if stream.index != index:
                stream.discard = Discard.all
        for packet in container.demux():
            time = packet.dts if packet.pts is None else packet.pts
            if packet.stream.index == index and time is not None:
                shown.append(time)
    times = np.array(shown, np.int64)
    if not len(times):
        return times
    order = np.argsort(times, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(times))
    # So many packets at the most come before one that is shown earlier.
    delay = int((np.arange(len(times)) - rank).max())
    ordered = times[order]
    step = max(int(np.median(np.diff(ordered))), 1) if len(ordered) > 1 else 1
    first = ordered[0] - step * np.arange(delay, 0, -1)
    return np.concatenate([first, ordered])[: len(times)]


def is_plain_vp9(frame: bytes) -> bool:
    """Whether a frame of VP9 has the profile 0: 8 bits, and half the resolution for colours."""
    # Two bits that mark a frame, and two of the profile.
    return bool(frame) and frame[0] >> 4 == 0b1000


def mpeg4_size(stream: Stream) -> tuple[int, int] | None:
    """Width and height of an MPEG-4 Visual stream, from its header (ISO/IEC 14496-2, 6.2.3)."""
    header = stream.codec_context.extradata or b""
    at = next(
        (at for at in range(len(header) - 4) if header[at : at + 3] == b"\0\0\1"
         and 0x20 <= header[at + 3] <= 0x2F), None
    )  # fmt: skip
    if at is None:
        return None
    bits = _Bits(header[at + 4 :])
    bits.take(9)  # random access, type
    if bits.take(1):
        bits.take(7)  # version, priority
    if bits.take(4) == 15:
        bits.take(16)  # pixel aspect ratio
    if bits.take(1):
        bits.take(3)  # chroma format, low delay
        if bits.take(1):
            bits.take(79)  # buffering
    rectangular = bits.take(2) == 0
    bits.take(1)
    resolution = bits.take(16)
    bits.take(1)
    if bits.take(1):
        bits.take(max((resolution - 1).bit_length(), 1))  # fixed time step
    bits.take(1)
    width = bits.take(13)
    bits.take(1)
    height = bits.take(13)
    return (width, height) if rectangular and width and height else None


class _Bits:
    """Bits from the first to the last; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._at // 8] if self._at < len(self._data) * 8 else 0
            value = value * 2 + (byte >> (7 - self._at % 8) & 1)
            self._at += 1
        return value
