"""Files for the file field, as Playwright takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def audio_file(name: str, content: Path | bytes) -> dict[str, Any]:
    """A file of this name with the bytes, or those of the file at a path."""
    body = content.read_bytes() if isinstance(content, Path) else content
    return {"name": name, "mimeType": "audio/wav", "buffer": body}


#: Refused by the page: of another kind.
NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
#: Refused by the server, which looks inside.
BROKEN = audio_file("broken.wav", b"no sound at all" * 100)
