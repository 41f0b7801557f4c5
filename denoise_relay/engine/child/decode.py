"""Turns a compressed track into blocks of float samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from denoise_relay.engine.errors import MediaRejected

Samples = npt.NDArray[np.float32]

MAX_CHANNELS: Final = 64
#: What a resampler, an encoder and a browser can all make sense of.
MIN_RATE: Final = 3_000
MAX_RATE: Final = 768_000
#: Damaged packets are skipped, as players do, while they are few.
_TOLERATED_ERRORS: Final = 10
_TOLERATED_ERROR_SHARE: Final = 0.05
#: 18 dB over full scale. Float files may hold anything; the model's memory must stay finite.
_LOUDEST: Final = 8.0

#: numpy type, offset and scale of each of FFmpeg's sample formats (planar ones lose their p).
_FORMATS: Final[dict[str, tuple[str, float, float]]] = {
    "u8": ("u1", 128.0, 2.0**-7),
    "s16": ("i2", 0.0, 2.0**-15),
    "s32": ("i4", 0.0, 2.0**-31),
    "s64": ("i8", 0.0, 2.0**-63),
    "flt": ("f4", 0.0, 1.0),
    "dbl": ("f8", 0.0, 1.0),
}
#: Weights of (left, right) in a downmix; ITU-R BS.775. The subwoofer is left out, as usual.
_HALF_POWER = math.sqrt(0.5)
_WEIGHTS: Final[dict[str, tuple[float, float]]] = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (_HALF_POWER, _HALF_POWER), "LFE": (0.0, 0.0),
    "BL": (_HALF_POWER, 0.0), "BR": (0.0, _HALF_POWER), "BC": (0.5, 0.5),
    "SL": (_HALF_POWER, 0.0), "SR": (0.0, _HALF_POWER),
    "FLC": (1.0, 0.0), "FRC": (0.0, 1.0), "LFE2": (0.0, 0.0),
}  # fmt: skip
_UNKNOWN_POSITION: Final = (0.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Consecutive samples as the decoder delivered them."""

    #: float32, shape (channels, samples), finite, nominally within ±1. At most 2 channels, unless
    #: more were asked for.
    samples: Samples
    rate: int


def decode(
    container: InputContainer,
    stream: AudioStream,
    *,
    most_channels: int = 2,
    rescue: bool = False,
) -> Iterator[Block]:
    """Yield the track from start to end: encoder priming removed, exactly what a player plays.

    More than `most_channels` are mixed down to stereo. Rate and channel count may change in
    mid-stream; each block says its own rate. Raises `MediaRejected("truncated")` when too much is
    damaged; with `rescue` it yields what can be read.
    """
    packets = errors = 0
    for packet in readable(container, stream) if rescue else container.demux(stream):
        packets += 1
        try:
            frames = packet.decode()
        except (av.error.MemoryError, av.error.PyAVCallbackError):
            raise
        except av.error.FFmpegError as exc:
            errors += 1
            if not rescue and errors > max(_TOLERATED_ERRORS, packets * _TOLERATED_ERROR_SHARE):
                raise MediaRejected("truncated") from exc
            continue
        for frame in frames:
            if frame.samples:
                yield to_block(frame, most_channels=most_channels)


def readable(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """The packets of a track, as far as the file can be read; then the empty one."""
    try:
        yield from container.demux(stream)
    except (av.error.InvalidDataError, av.error.EOFError):
        end: Any = Packet()
        end.stream = stream
        yield end


def joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same track in blocks of at least half a second, as far as rate and channels stay.

    A decoder delivers 20 to 80 ms at a time, and each step that follows costs the same for these as
    for half a second.
    """
    waiting: list[Samples] = []
    kind, count = (0, 0), 0
    for block in blocks:
        channels, length = block.samples.shape
        if waiting and (kind != (block.rate, channels) or 2 * count >= kind[0]):
            yield Block(samples=np.concatenate(waiting, axis=1), rate=kind[0])
            waiting, count = [], 0
        kind = block.rate, channels
        waiting.append(block.samples)
        count += length
    if waiting:
        yield Block(samples=np.concatenate(waiting, axis=1), rate=kind[0])


def to_block(frame: AudioFrame, *, most_channels: int = 2) -> Block:
    """Convert one frame of any sample format to a block."""
    rate, channels = frame.sample_rate, frame.layout.nb_channels
    if not MIN_RATE <= rate <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
        raise MediaRejected(
            "unsupported",
            f"Audio with {channels} channels at {rate} Hz is not supported. "
            f"Send {MIN_RATE} to {MAX_RATE} Hz and at most {MAX_CHANNELS} channels.",
        )
    samples = _to_float(frame, channels)
    if channels > most_channels:
        samples = _downmix([channel.name for channel in frame.layout.channels], samples)
    return Block(samples=samples, rate=rate)


def _to_float(frame: AudioFrame, channels: int) -> Samples:
    name = frame.format.name
    kind, offset, scale = _FORMATS[name.removesuffix("p")]
    if frame.format.is_planar:
        planes = [np.frombuffer(memoryview(plane), kind, frame.samples) for plane in frame.planes]
        raw = np.stack(planes[:channels])
    else:
        packed = np.frombuffer(memoryview(frame.planes[0]), kind, frame.samples * channels)
        raw = packed.reshape(-1, channels).T
    if kind.startswith("f"):
        with np.errstate(invalid="ignore", over="ignore"):
            real = np.clip(raw, -_LOUDEST, _LOUDEST).astype(np.float32)
        if np.isnan(real).any():
            real = np.nan_to_num(real, nan=0.0)
        return np.ascontiguousarray(real)
    return np.ascontiguousarray(((raw.astype(np.float64) - offset) * scale).astype(np.float32))


def _downmix(positions: list[str], samples: Samples) -> Samples:
    weights = [_WEIGHTS.get(position, _UNKNOWN_POSITION) for position in positions]
    weights += [_UNKNOWN_POSITION] * (len(samples) - len(weights))
    matrix = np.array(weights[: len(samples)], np.float32).T
    # Scaled so that not even full scale on every channel can clip.
    matrix /= max(float(matrix.sum(axis=1).max()), 1.0)
    return np.ascontiguousarray(matrix @ samples)
