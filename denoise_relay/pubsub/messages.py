"""Messages between processes: how the frames of one commit are divided among them, and read.

A commit of few jobs is one message for each, to the group of the job: only processes in which
somebody watches it get that. A commit of many jobs would be many messages, of which each costs a
publisher and a receiver more than all its frames; so it is one message, in which each line is a
frame, to the group of all processes with viewers. They look at the job of each line and skip
what nobody watches there, which costs a hundredth of a message.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from denoise_relay.frames import Frame, job_of, parse_frame

#: The group of all processes that have viewers.
ALL_JOBS: Final = "denoise.frames"
#: The group of all supervisors.
WORK_GROUP: Final = "denoise.work"
#: Of the frames in one message, together. A layer's server holds messages for slow receivers.
MESSAGE_BYTES: Final = 65_536
#: Names the sender, so that a process drops what comes back to it. A fork has another pid.
_TOKEN: Final = secrets.token_hex(8)

#: A group, and what is sent to it.
Message = tuple[str, dict[str, str]]
#: Wakes all supervisors.
WORK: Final[Message] = (WORK_GROUP, {"type": "denoise.work"})


def job_group(job: UUID) -> str:
    """The channel-layer group of a job. (A group name has under 100 characters and no colon.)"""
    return f"denoise.job.{job.hex}"


def messages_of(frames: Sequence[Frame], few: int) -> list[Message]:
    """The messages that carry these frames, in order: at most `few` to groups of jobs, or one (or
    more, if they are large) to the group of all jobs."""
    if len(frames) <= few:
        return [_message(job_group(frame.job), frame.text) for frame in frames]
    lines = pack([frame.text for frame in frames], MESSAGE_BYTES)
    return [_message(ALL_JOBS, text) for text in lines]


def pack(texts: Sequence[str], limit: int) -> list[str]:
    """Join JSON texts, which hold no line break, to lines of texts of at most `limit` bytes. What
    is longer stays alone, and is longer."""
    packed: list[str] = []
    some: list[str] = []
    length = 0
    for text in texts:
        size = 1 + (len(text) if text.isascii() else len(text.encode()))
        if some and length + size > limit:
            packed.append("\n".join(some))
            some, length = [], 0
        some.append(text)
        length += size
    return [*packed, "\n".join(some)] if some else packed


def frames_for(message: Mapping[str, Any], jobs: Container[UUID]) -> Iterator[Frame]:
    """The message's frames of these jobs, in order; none when this process has sent it.

    What cannot be read comes from another version, in a rolling deploy, and is skipped: the
    position check finds what is missed.
    """
    text = message.get("frame")
    if not isinstance(text, str) or message.get("from") == _sender():
        return
    for line in text.split("\n"):
        with contextlib.suppress(msgspec.DecodeError):
            if job_of(line) in jobs:
                yield parse_frame(line)


def _message(group: str, text: str) -> Message:
    # Versions before this one know the type and a single frame, too.
    return group, {"type": "denoise.frame", "frame": text, "from": _sender()}


def _sender() -> str:
    return f"{os.getpid()}-{_TOKEN}"
