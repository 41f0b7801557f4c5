"""Makes a file of a recording's sound: a copy of its track where that will do, else FLAC."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from denoise_relay.engine.child import limits
from denoise_relay.engine.child.convert import convert_file, largest_conversion_bytes
from denoise_relay.engine.child.extract import extract_track
from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.protocol import Conversion, CopyEnding


def make_sound_file(
    source: str,
    target: str,
    *,
    copy: CopyEnding | None,
    on_read: Callable[[float], None],
    on_converted: Callable[[float], None],
) -> Conversion:
    """Write the sound of `source` to `target`, which must be new. Raises `MediaRejected`.

    `copy` is the ending of the copy that is wanted. Of a damaged file, what can be read is written,
    as FLAC. The callbacks get the share of the file that has been read, and then converted.
    """
    probe = probe_file(source, rescue=True, on_progress=on_read)
    limits.bound_output(max(largest_conversion_bytes(probe), os.path.getsize(source)))
    if copy and not probe.damaged:
        if extract_track(source, target, extension=copy):
            return Conversion(duration_seconds=probe.duration_seconds, extension=copy)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
    seconds = convert_file(source, target, probe=probe, on_progress=on_converted)
    return Conversion(duration_seconds=seconds, extension="flac")
