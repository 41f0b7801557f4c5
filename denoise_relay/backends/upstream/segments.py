"""What another relay shows of a job that runs, decoded. Pure.

It is as untrusted as any upstream: sizes, rates and numbers are checked, and whatever is not as it
must be raises `ProtocolError`.
"""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import Meta

from denoise_relay.engine import SEGMENT_SECONDS, Segment
from denoise_relay.exceptions import ProtocolError
from denoise_relay.waveform import MAX_PIXELS, PIXEL_BYTES, whole_pixels

#: Of one segment: uncompressed, `SEGMENT_SECONDS` at 24 kHz take 192,000 bytes.
MAX_AUDIO_BYTES: Final = 256 * 1024
#: Whoever takes over a job asks for its whole waveform at once: `-128,` for each number.
MAX_WAVEFORM_BYTES: Final = 5 * PIXEL_BYTES * MAX_PIXELS
#: Of one segment; 750 are usual.
_MAX_PIXELS: Final = 4096
_MAX_RATE: Final = 1_000_000
_MAX_AUDIO_RATE: Final = 24_000
#: Where a FLAC file says what it is: behind the magic and the head of the first block.
_FLAC_HEAD: Final = b"fLaC\x00\x00\x00\x22"
_FLAC_FACTS: Final = slice(18, 26)


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """How fine a waveform is: the same from a recording's first segment to its last."""

    sample_rate: int
    samples_per_pixel: int

    @property
    def pixels(self) -> int:
        """Of each segment but the last."""
        return whole_pixels(SEGMENT_SECONDS, self.sample_rate, self.samples_per_pixel)

    @property
    def seconds(self) -> float:
        """Of each segment but the last."""
        return self.pixels * self.samples_per_pixel / self.sample_rate


class _Waveform(msgspec.Struct, frozen=True):
    """The JSON of `media.analysis_views`."""

    version: Literal[2]
    channels: Literal[1]
    bits: Literal[8]
    sample_rate: Annotated[int, Meta(gt=0, le=_MAX_RATE)]
    samples_per_pixel: Annotated[int, Meta(gt=0, le=4 * _MAX_RATE)]
    first: Annotated[int, Meta(ge=0)]
    complete: bool
    data: Annotated[
        list[Annotated[int, Meta(ge=-128, le=127)]], Meta(max_length=PIXEL_BYTES * MAX_PIXELS)
    ]
    #: None when the job has ended.
    segments: Annotated[int, Meta(ge=0)] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """By how much a waveform has grown."""

    detail: Detail
    #: The peaks of each new segment, in order; the last may be shorter than the others.
    peaks: tuple[bytes, ...]
    #: Nothing will come any more.
    complete: bool

    @classmethod
    def decode(cls, body: bytes, number: int) -> Self:
        """What the upstream answers to whoever has the segments before `number`."""
        try:
            found = msgspec.json.decode(body, type=_Waveform)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ProtocolError(f"not a waveform: {error}") from None
        detail = Detail(sample_rate=found.sample_rate, samples_per_pixel=found.samples_per_pixel)
        complete = found.complete or found.segments is None
        asked = number * detail.pixels
        peaks: tuple[bytes, ...] = ()
        if not complete and found.data:
            if found.first != asked:
                raise ProtocolError(f"a waveform begins at {found.first} and not at {asked}")
            peaks = _split(found, detail.pixels, (found.segments or 0) - number)
        # Else nothing is new, or the upstream has begun anew and will come to where we are.
        return cls(detail=detail, peaks=peaks, complete=complete)


def _split(found: _Waveform, pixels: int, count: int) -> tuple[bytes, ...]:
    """The peaks of `count` segments."""
    data = array.array("b", found.data).tobytes()
    size = pixels * PIXEL_BYTES
    if pixels > _MAX_PIXELS or len(data) % PIXEL_BYTES or count != -(-len(data) // size):
        raise ProtocolError(f"{len(data)} bytes of peaks are not {count} segments")
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def segment(number: int, detail: Detail, peaks: bytes, audio: bytes) -> Segment:
    """A segment as an engine of our own would give it."""
    length = len(peaks) // PIXEL_BYTES
    whole = length == detail.pixels
    longest = length * detail.samples_per_pixel / detail.sample_rate
    heard, slack = _flac_seconds(audio)
    # The sound of a whole segment is as long as its shape, the last one's up to a pixel shorter.
    shortest = longest if whole else longest - detail.samples_per_pixel / detail.sample_rate
    if not shortest - slack <= heard <= longest + slack:
        raise ProtocolError(f"segment {number} sounds for {heard:g} s and not {longest:g} s")
    return Segment(
        number=number,
        duration_seconds=longest if whole else min(heard, longest),
        sample_rate=detail.sample_rate,
        samples_per_pixel=detail.samples_per_pixel,
        peaks=peaks,
        audio=audio,
    )


def _flac_seconds(audio: bytes) -> tuple[float, float]:
    """How long a FLAC file says that it is, and how exactly."""
    facts = int.from_bytes(audio[_FLAC_FACTS], "big")
    rate, channels, bits = facts >> 44, (facts >> 41 & 7) + 1, (facts >> 36 & 31) + 1
    samples = facts & (2**36 - 1)
    if not (
        audio.startswith(_FLAC_HEAD)
        and (channels, bits) == (1, 16)
        and 0 < rate <= _MAX_AUDIO_RATE
        and samples
    ):
        raise ProtocolError("a segment's sound is no FLAC of one channel and 16 bits")
    return samples / rate, 2 / rate
