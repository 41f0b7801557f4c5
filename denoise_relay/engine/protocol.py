"""The messages of the child to the parent: one JSON object a line, on standard output.

    {"pct": 41.5, "message": "Isolating voice"}          any number, rising
    {"segment": {…fields of `SegmentLine`…}}             where segments are wanted
    {"result": {…fields of the command's record…}}       last, success
    {"rejected": {"code": "…", "message": "…"}}          last, the file is at fault
    {"unavailable": "…"}                                 last, a package is missing

The child handles hostile files, so the parent trusts none of them: the readers here check
everything.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast, get_args

import msgspec

from denoise_relay.engine.errors import REJECTION_CODES, MediaRejected


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Facts about the audio track that would be denoised, measured, not taken from the header."""

    duration_seconds: float
    #: Hz, as the decoder delivers it; the result has the same.
    sample_rate: int
    #: As decoded; the result has at most 2.
    channels: int
    #: FFmpeg's name of the codec: `aac`, `pcm_s16le`, `opus`, …
    codec: str
    #: FFmpeg's short name of the container: `wav`, `mp3`, `mov`, `flac`, `ogg`, `matroska`, …
    container: str
    #: True if pictures move; cover art does not count.
    has_video: bool
    #: Of the waveform that was written, at `sample_rate`; 0 if none was.
    samples_per_pixel: int = 0
    #: True if a part of the file is missing or cannot be read: the duration is of the rest.
    damaged: bool = False
    #: What a damaged file's header says; 0 where it says nothing, or no more than there is.
    announced_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Facts about a result beside its recording. Nothing here is a judgement."""

    #: Whether the result could be decoded; without it the rest of the result's facts are 0.
    playable: bool
    before_seconds: float
    after_seconds: float
    #: Seconds of the recording in which somebody speaks, on any channel.
    speech_seconds: float
    #: dBFS over these seconds, in the channel that lost most; -200 where there is nothing.
    speech_before_db: float
    speech_after_db: float
    #: Seconds of this speech whose level fell by more than 35 dB, second by second, in the channel
    #: that lost most of them: a result may go silent and lose only 3 dB of its mean.
    lost_seconds: float
    #: Audio tracks in the recording's file.
    tracks: int
    #: As in the files, before any downmix.
    channels_before: int
    channels_after: int


@dataclass(frozen=True, kw_only=True)
class SideStatistics:
    """What can be measured of one side of a comparison; None where there is nothing to measure."""

    #: Integrated, by ITU-R BS.1770, in LUFS.
    loudness_lufs: float | None
    #: By BS.1770, of the loudest channel, in dBTP.
    true_peak_db: float | None
    #: dBFS (RMS) in the pauses, -100 at least.
    noise_floor_db: float | None
    #: Speech over what is heard in the pauses.
    snr_db: float | None
    #: DNSMOS P.835, overall, 1 to 5. Needs the extra `quality`.
    dnsmos: float | None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A recording beside its result. The files that go with it are in the folder of the command."""

    #: Hz, of the comparison file and of both waveforms: the result's, at most 48 kHz.
    sample_rate: int
    samples_per_pixel: int
    #: Of each side, 1 or 2; the comparison file has twice as many.
    channels: int
    #: Of the recording, and so of everything in the folder.
    duration_seconds: float
    before: SideStatistics
    after: SideStatistics
    #: What the result is multiplied by before it is taken away from the recording, so that what is
    #: left is what was removed. 1 unless the result's loudness was changed.
    removed_gain: float


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """Where an excerpt begins in its recording, and how long it is, in seconds."""

    start_seconds: float
    duration_seconds: float


@dataclass(frozen=True, kw_only=True)
class PartsPlan:
    """Where a long recording is cut. All numbers are samples at `rate`."""

    rate: int
    #: As decoded: 1 or 2.
    channels: int
    total: int
    #: Rising; one less than there are parts.
    cuts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A file that was written, with its length."""

    duration_seconds: float


#: Endings of files that a track may be copied to.
CopyEnding = Literal["flac", "m4a", "mp3", "ogg"]
COPIES: Final[tuple[CopyEnding, ...]] = get_args(CopyEnding)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The sound of a recording in a file of its own."""

    duration_seconds: float
    #: `flac`, or that of a copy.
    extension: CopyEnding


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A file that was made from a recording and its clean copy."""

    duration_seconds: float
    #: By how much it was made louder; 0 where no loudness was asked for.
    gain_db: float


@dataclass(frozen=True, kw_only=True)
class SegmentLine:
    """A segment of the clean recording, which is in the folder of segments by now."""

    #: From 0, without holes.
    number: int
    duration_seconds: float
    #: Of the waveform.
    sample_rate: int
    samples_per_pixel: int


@dataclass(frozen=True, kw_only=True)
class Segment(SegmentLine):
    """Some seconds of the clean recording, while the rest is still being made.

    All segments but the last are equally long, and have a whole number of pixels.
    """

    #: Signed bytes: minimum, maximum, minimum, … as of the whole recording's waveform.
    peaks: bytes
    #: A FLAC file: mono, at most 24 kHz, 16 bits. Goes on where the segment before ends.
    audio: bytes


#: Longest segment, and most of them in one recording (22 hours).
SEGMENT_SECONDS: Final = 4.0
MAX_SEGMENTS: Final = 20_000

READING: Final = "Reading audio"
ISOLATING: Final = "Isolating voice"
WRITING: Final = "Writing audio"
CONVERTING: Final = "Converting audio"
MESSAGES: Final = frozenset({READING, ISOLATING, WRITING, CONVERTING})

#: Of one recording: with their cuts, a plan must fit into one line.
MAX_PARTS: Final = 64
MAX_LINE_BYTES: Final = 16 * 1024
#: A child reports when a tenth of a percent is done, and at most this often.
MAX_LINES_PER_SECOND: Final = 20
MAX_LINES: Final = 10_000
_MAX_MESSAGE: Final = 1000
_MAX_BRACKETS: Final = 16
_Record = TypeVar("_Record")


def read_line(data: bytes) -> dict[str, Any]:
    """One line as the object it must be. Raises `ValueError`."""
    # Our lines are nested twice at most; thousands of brackets would exhaust json's recursion.
    if data.count(b"[") + data.count(b"{") > _MAX_BRACKETS:
        raise ValueError("nested too deeply")
    # Refuses what json.loads would take: NaN, Infinity.
    try:
        line = msgspec.json.decode(data)
    except msgspec.MsgspecError as exc:  # a ValueError in newer versions only
        raise ValueError(str(exc)) from exc
    if not isinstance(line, dict):
        raise ValueError(f"not an object: {line!r}")
    return line


def read_progress(line: dict[str, Any]) -> tuple[float, str]:
    """Percent and message. Raises `ValueError` for anything that the child would not say."""
    pct, message = line.get("pct"), line.get("message")
    if isinstance(pct, bool) or not isinstance(pct, int | float) or not 0 <= pct <= 100:
        raise ValueError(f"pct is {pct!r}")
    if not isinstance(message, str) or message not in MESSAGES:
        raise ValueError(f"message is {message!r}")
    return float(pct), message


def read_record(kind: type[_Record], fields: object) -> _Record:
    """The result of a success: a dataclass with exactly these fields. Raises `ValueError`."""
    names = {field.name for field in dataclasses.fields(cast(Any, kind))}
    if not isinstance(fields, dict) or fields.keys() != names:
        raise ValueError(f"result is {fields!r}")
    # Strict: no strings or booleans for numbers.
    try:
        return msgspec.convert(fields, kind)
    except msgspec.MsgspecError as exc:
        raise ValueError(str(exc)) from exc


def read_rejection(fields: object) -> MediaRejected:
    """The exception to raise. Raises `ValueError`."""
    if not isinstance(fields, dict):
        raise ValueError(f"rejected is {fields!r}")
    code, message = fields.get("code"), fields.get("message")
    if not isinstance(code, str) or code not in REJECTION_CODES or not isinstance(message, str):
        raise ValueError(f"rejected is {fields!r}")
    return MediaRejected(code, message[:_MAX_MESSAGE])  # type: ignore[arg-type]
