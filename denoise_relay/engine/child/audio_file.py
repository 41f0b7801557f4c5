"""Writes audio in the formats that people download."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.encode import FlacWriter, flac_rate
from denoise_relay.engine.child.resample import LAYOUTS, Resampler

_LOSSY_RATES: Final = (32_000, 44_100, 48_000)
#: Of AAC besides. MP3 has them, too, but not at our bit rate.
_AAC_RATES: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, *_LOSSY_RATES)
#: Of a passage below -36 dBFS, which has 24 bits, as in results.
_QUIET_POWER: Final = 10 ** (-36 / 10)
_HEADER_BYTES: Final = 1024 * 1024


def _any_rate(rate: int) -> int:
    return rate


def _from(rates: tuple[int, ...]) -> Callable[[int], int]:
    """The nearest rate that loses nothing, else the highest."""
    return lambda rate: next((each for each in rates if each >= rate), rates[-1])


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file."""

    container: str
    codec: str
    #: The rate that a file has, for the rate of the samples.
    rate_for: Callable[[int], int] = _any_rate
    #: Bits a second for 1 and 2 channels; None: lossless.
    bit_rates: tuple[int, int] | None = None
    #: By what its encoder makes everything quieter, undone before.
    encoder_gain: float = 1.0
    options: dict[str, str] = field(default_factory=dict)
    has_video: bool = False


_AAC: Final[dict[str, Any]] = {
    "codec": "aac",
    "rate_for": _from(_AAC_RATES),
    "bit_rates": (128_000, 192_000),
}
#: The index comes first, so that a player can begin before it has all of the file.
_MP4: Final = {"movflags": "+faststart"}
KINDS: Final[dict[str, Kind]] = {
    "flac": Kind(container="flac", codec="flac", rate_for=flac_rate),
    # Beyond 4 GiB it becomes RF64.
    "wav": Kind(container="wav", codec="pcm_s24le", options={"rf64": "auto"}),
    # Constant: the sizes of its frames say the time exactly.
    "mp3": Kind(
        container="mp3",
        codec="libmp3lame",
        rate_for=_from(_LOSSY_RATES),
        bit_rates=(192_000, 192_000),
        encoder_gain=0.97,  # of LAME at this bit rate
    ),
    "m4a": Kind(container="ipod", options=_MP4, **_AAC),
    "mp4": Kind(container="mp4", options=_MP4, has_video=True, **_AAC),
    "mkv": Kind(container="matroska", has_video=True, **_AAC),
}


def largest_audio_bytes(kind: Kind, seconds: float, *, rate: int) -> int:
    """No file of this length is larger: uncompressed samples of two channels, and a header."""
    highest = max(kind.rate_for(rate), _LOSSY_RATES[-1])
    return int((seconds + 1) * highest * 2 * 4) + _HEADER_BYTES


class AudioTrack:
    """The audio of an output file: samples in, packets out.

    `start_seconds` is where its first sample is on the file's time line.
    """

    def __init__(
        self,
        container: OutputContainer,
        kind: Kind,
        *,
        channels: int,
        rate: int,
        start_seconds: Fraction = Fraction(0),
    ) -> None:
        self._rate = kind.rate_for(rate)
        self._layout = LAYOUTS[channels]
        self._resampler = Resampler(channels=channels, rate_in=rate, rate_out=self._rate)
        stream: Any = container.add_stream(kind.codec, rate=self._rate, layout=self._layout)
        self._stream = stream
        if kind.bit_rates:
            stream.bit_rate = kind.bit_rates[channels - 1]
        self._gain = np.float32(1 / kind.encoder_gain)
        self._first = round(start_seconds * self._rate)
        #: Samples per channel so far, at the file's rate.
        self.written = 0

    @property
    def end_seconds(self) -> Fraction:
        """On the file's time line."""
        return Fraction(self._first + self.written, self._rate)

    def write(self, samples: Samples) -> list[Any]:
        return self._encode(self._resampler.push(samples))

    def finish(self) -> list[Any]:
        packets = self._encode(self._resampler.finish())
        return [*packets, *self._stream.encode(None)]

    def _encode(self, samples: Samples) -> list[Any]:
        if not samples.shape[1]:
            return []
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(np.clip(samples, -1.0, 1.0) * self._gain), "fltp", self._layout
        )
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._first + self.written
        self.written += samples.shape[1]
        packets: list[Any] = self._stream.encode(frame)
        return packets


class FlacFile:
    """A FLAC file: 16 bits, and 24 as long as the recording is quiet (`encode`)."""

    def __init__(
        self, path: str | os.PathLike[str], kind: Kind, *, channels: int, rate: int, exact: bool
    ) -> None:
        """`exact`: 24 bits everywhere. Samples that have 16 take no more room for it."""
        self._rate = kind.rate_for(rate)
        self._resampler = Resampler(channels=channels, rate_in=rate, rate_out=self._rate)
        self._file = open(path, "xb")  # noqa: SIM115
        self._writer = FlacWriter(self._file, channels=channels, rate=self._rate)
        self._exact = exact

    def write(self, samples: Samples) -> None:
        self._append(self._resampler.push(samples))

    def finish(self) -> None:
        self._append(self._resampler.finish())
        self._writer.finish()
        self._file.close()

    def _append(self, samples: Samples) -> None:
        power = float(np.mean(samples**2)) if samples.size else 0.0
        self._writer.write(samples, fine=self._exact or power < _QUIET_POWER)


class AudioFile:
    """A file with audio only."""

    def __init__(
        self, path: str | os.PathLike[str], kind: Kind, *, channels: int, rate: int
    ) -> None:
        self._container = av.open(os.fspath(path), "w", format=kind.container, options=kind.options)
        self._track = AudioTrack(self._container, kind, channels=channels, rate=rate)

    def write(self, samples: Samples) -> None:
        self._container.mux(self._track.write(samples))

    def finish(self) -> None:
        self._container.mux(self._track.finish())
        self._container.close()
