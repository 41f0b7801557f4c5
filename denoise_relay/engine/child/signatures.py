"""Names what a file is that is no recording, by its first bytes. Pure."""

from __future__ import annotations

from typing import Final

#: Enough for every signature below.
HEAD_BYTES: Final = 512

_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"\x1f\x8b", "a compressed archive"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document"),
    (0, b"{\\rtf", "a text document"),
    (0, b"\x89PNG\r\n\x1a\n", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"GIF8", "a picture"),
    (0, b"II*\x00", "a picture"),
    (0, b"MM\x00*", "a picture"),
    (4, b"ftypheic", "a picture"),
    (4, b"ftypmif1", "a picture"),
    (4, b"ftypavif", "a picture"),
    (8, b"WEBP", "a picture"),
    (0, b"MThd", "a MIDI file, which has notes and no sound,"),
    (0, b"MZ", "a program"),
    (0, b"\x7fELF", "a program"),
    (0, b"#EXTM3U", "a playlist, which only names other files,"),
    (0, b"<?xml", "an XML document"),
)
_WEB_PAGE: Final = (b"<!doctype html", b"<html")


def what_it_is(head: bytes) -> str:
    """A noun with its article for the first `HEAD_BYTES` of a file; "" if it is none of these."""
    for offset, signature, name in _SIGNATURES:
        if head[offset:].startswith(signature):
            return name
    if head.lstrip()[:20].lower().startswith(_WEB_PAGE):
        return "a web page"
    return ""
