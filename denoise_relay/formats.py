"""The formats of recordings: extensions and their media types, in one table. Pure."""

from __future__ import annotations

#: The contract's audio formats (POST /denoise), by extension.
AUDIO = frozenset({"wav", "mp3", "m4a", "flac", "ogg"})
#: The contract's video formats, of which the audio track is denoised.
VIDEO = frozenset({"mp4", "mov", "mkv", "webm", "avi", "m4v"})
#: What is taken besides, judged by content: these are for names and choosers only. An extension
#: of the contract; a backend that takes its list only gets FLAC (`backends.base`).
MORE_AUDIO = frozenset(
    {
        *("aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "au", "caf", "dsf", "ds2", "dss"),
        *("dts", "eac3", "loas", "m4b", "mka", "mp2", "mpc", "oga", "oma", "opus", "qcp", "ra"),
        *("shn", "snd", "sox", "spx", "tak", "thd", "tta", "voc", "w64", "wma", "wv"),
    }
)
MORE_VIDEO = frozenset(
    {
        *("3g2", "3gp", "asf", "dv", "f4v", "flv", "m2ts", "mpeg", "mpg", "mts", "mxf", "ogv"),
        *("rm", "rmvb", "ts", "vob", "wmv", "wtv"),
    }
)
#: Every extension that a recording is known by.
KNOWN = AUDIO | VIDEO | MORE_AUDIO | MORE_VIDEO
#: Formats that no browser plays; for others, the `error` event of the player tells.
UNPLAYABLE = frozenset({"avi"}) | (MORE_AUDIO | MORE_VIDEO) - {
    # Some browser plays these.
    *("aac", "aif", "aifc", "aiff", "caf", "m4b", "mka", "mp2", "oga", "opus", "3g2", "3gp", "ogv"),
}
#: Media types by extension: what is uploaded, what may come back, what is played.
MEDIA_TYPES = {
    "3g2": "video/3gpp2",
    "3gp": "video/3gpp",
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "aif": "audio/aiff",
    "aifc": "audio/aiff",
    "aiff": "audio/aiff",
    "amr": "audio/amr",
    "au": "audio/basic",
    "avi": "video/x-msvideo",
    "caf": "audio/x-caf",
    "eac3": "audio/eac3",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    # Not video/x-m4v, which was never registered and which not every browser knows.
    "m4v": "video/mp4",
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp2": "audio/mpeg",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "mts": "video/mp2t",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "ts": "video/mp2t",
    "wav": "audio/wav",
    "webm": "video/webm",
    "wma": "audio/x-ms-wma",
    "wmv": "video/x-ms-wmv",
}
#: The media type of a file whose extension is not in the table.
UNKNOWN_TYPE = "application/octet-stream"

# Where two extensions share a media type, the more usual one.
_EXTENSIONS = {media_type: extension for extension, media_type in MEDIA_TYPES.items()} | {
    "audio/aiff": "aiff",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/vnd.wave": "wav",
    "audio/wave": "wav",
    "audio/x-flac": "flac",
    "audio/x-m4a": "m4a",
    "audio/x-wav": "wav",
    "video/mp2t": "ts",
    "video/mpeg": "mpeg",
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
