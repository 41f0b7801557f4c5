"""Prints what is taken, as the installed FFmpeg has it: the tables of docs/formats.md.

python -m denoise_relay.engine.child.readable
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import av
from av.codec import Codec

from denoise_relay.engine.child.container import DECODERS, DEMUXERS


def tables() -> Iterator[str]:
    """Lines of Markdown: the containers, then the codecs."""
    yield "| container | what it is |"
    yield "|---|---|"
    for name in sorted(DEMUXERS):
        yield f"| `{name}` | {av.ContainerFormat(name, 'r').long_name} |"
    yield ""
    yield "| codec | what it is |"
    yield "|---|---|"
    for name in sorted(DECODERS):
        yield f"| `{name}` | {Codec(name, 'r').long_name} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(tables()) + "\n")
