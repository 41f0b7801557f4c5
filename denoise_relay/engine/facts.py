"""What a probe finds out about a file."""

from __future__ import annotations

from dataclasses import dataclass


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
