"""Which files the contract takes as they are: by what they are, and by their names."""

from __future__ import annotations

from typing import Final

from denoise_relay.backends.base import Media

#: The contract's extensions, by the container that they stand for.
_EXTENSIONS: Final = {
    "avi": ("avi",),
    "flac": ("flac",),
    "matroska": ("mkv", "webm"),
    "mov": ("m4a", "mp4", "mov", "m4v"),
    "mp3": ("mp3",),
    "ogg": ("ogg",),
    "wav": ("wav",),
}
#: Of a file without pictures that has another name, or the name of something else: the extension
#: that fits, where the codec is one that everybody expects there.
_USUAL: Final = {
    "flac": ("flac", ("flac",)),
    "mov": ("m4a", ("aac", "alac")),
    "mp3": ("mp3", ("mp3",)),
    "ogg": ("ogg", ("opus", "vorbis", "flac")),
    "wav": ("wav", ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8")),
}


def contract_extension(media: Media) -> str | None:
    """The extension of the contract under which a file may be submitted; None if it has none."""
    if media.extension in _EXTENSIONS.get(media.container, ()):
        return media.extension
    extension, codecs = _USUAL.get(media.container, ("", ()))
    return extension if media.codec in codecs and not media.has_video else None
