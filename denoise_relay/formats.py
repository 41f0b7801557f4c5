"""The formats of recordings: extensions and their media types, in one table. Pure."""

from __future__ import annotations

#: The contract's audio formats (POST /denoise), by extension.
AUDIO = frozenset({"wav", "mp3", "m4a", "flac", "ogg"})
#: The contract's video formats, of which the audio track is denoised.
VIDEO = frozenset({"mp4", "mov", "mkv", "webm", "avi", "m4v"})
#: Formats that no browser plays; for others, the `error` event of the player tells.
UNPLAYABLE = frozenset({"avi"})
#: Media types by extension: what is uploaded, what may come back, what is played.
MEDIA_TYPES = {
    "aac": "audio/aac",
    "avi": "video/x-msvideo",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    # Not video/x-m4v, which was never registered and which not every browser knows.
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "webm": "video/webm",
}
#: The media type of a file whose extension is not in the table.
UNKNOWN_TYPE = "application/octet-stream"

# Where two extensions share a media type, the more usual one.
_EXTENSIONS = {media_type: extension for extension, media_type in MEDIA_TYPES.items()} | {
    "audio/ogg": "ogg",
    "audio/vnd.wave": "wav",
    "audio/wave": "wav",
    "audio/x-flac": "flac",
    "audio/x-m4a": "m4a",
    "audio/x-wav": "wav",
    "video/mp4": "mp4",
    "video/x-m4v": "m4v",
}


def media_type_of(file_name: str) -> str:
    """The media type of a file by its extension, `UNKNOWN_TYPE` where it has no known one."""
    return MEDIA_TYPES.get(extension_of(file_name), UNKNOWN_TYPE)


def extension_for(media_type: str) -> str:
    """The extension of a media type (parameters are ignored); "" where it is not known."""
    return _EXTENSIONS.get(media_type.partition(";")[0].strip().lower(), "")


def extension_of(file_name: str) -> str:
    """Lower-case, without the dot; "" when the name has none."""
    _stem, dot, suffix = file_name.rpartition(".")
    return suffix.lower() if dot else ""


_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r"))


def is_text(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a text of any kind (HTML, JSON…).

    Some hundred bytes are needed: every format of recordings has zeros or other controls there.
    """
    return bool(head) and not any(byte in _CONTROLS for byte in head)
