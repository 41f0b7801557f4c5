"""Messages between processes: divided, bounded, and read whatever comes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame, make_frame
from denoise_relay.pubsub import messages
from denoise_relay.pubsub.messages import MESSAGE_BYTES, frames_for, messages_of, pack


def frames(count: int, message: str = "Running") -> list[Frame]:
    now = datetime.now(UTC).replace(microsecond=0)  # frames hold milliseconds
    return [
        make_frame(
            Event(job=uuid4(), seq=n, stage=Stage.PROCESSING, pct=1.0, message=message, at=now)
        )
        for n in range(1, count + 1)
    ]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is sent here look as if it came from another process."""
    names = iter(range(1_000_000))
    monkeypatch.setattr(messages, "_sender", lambda: f"process {next(names)}")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("count", [1, 4, 5, 500])
@pytest.mark.parametrize("text", ["Running", 'يجري عزل الصوت \u201c…\u201d \\n " \t'])
def test_all_that_was_sent_is_read_in_order(count: int, text: str) -> None:
    sent = frames(count, text)
    jobs = {frame.job for frame in sent}

    read = [f for _, message in messages_of(sent, 4) for f in frames_for(message, jobs)]

    assert [(f.event, f.text) for f in read] == [(f.event, f.text) for f in sent]


@pytest.mark.usefixtures("elsewhere")
def test_only_frames_of_the_given_jobs_are_read() -> None:
    sent = frames(50)
    ((_, message),) = messages_of(sent, 4)

    assert [f.job for f in frames_for(message, {sent[7].job, uuid4()})] == [sent[7].job]
    assert list(frames_for(message, ())) == []


def test_what_a_process_has_sent_itself_is_not_read() -> None:
    sent = frames(1)
    ((_, message),) = messages_of(sent, 4)

    assert list(frames_for(message, {sent[0].job})) == []


@pytest.mark.usefixtures("elsewhere")
def test_a_line_that_is_no_frame_loses_no_other() -> None:
    sent = frames(6)
    ((_, message),) = messages_of(sent, 4)
    lines = message["frame"].split("\n")
    lines[2] = lines[2][:-9]
    lines[4] = '{"job": 7}'

    read = frames_for({"frame": "\n".join(lines)}, {frame.job for frame in sent})

    assert [frame.seq for frame in read] == [1, 2, 4, 6]


@pytest.mark.parametrize("message", [{}, {"frame": 7}, {"frame": ""}, {"frame": "{"}, {"x": "y"}])
def test_messages_of_other_versions_are_skipped(message: dict[str, Any]) -> None:
    assert list(frames_for(message, {uuid4()})) == []


def test_a_message_of_a_version_before_is_read() -> None:
    (frame,) = frames(1)
    message = {"type": "denoise.frame", "frame": frame.text}

    assert [read.event for read in frames_for(message, {frame.job})] == [frame.event]


def test_messages_are_bounded() -> None:
    sent = frames(500, "ي" * 500)

    sizes = [len(message["frame"].encode()) for _, message in messages_of(sent, 4)]

    assert max(sizes) <= MESSAGE_BYTES
    assert sum(sizes) == sum(len(f.text.encode()) + 1 for f in sent) - len(sizes)


def test_packing_cuts_nothing() -> None:
    texts = ["a" * 5, "b" * 20, "c", "d", "é" * 4]

    assert pack(texts, 10) == ["a" * 5, "b" * 20, "c\nd", "é" * 4]
    assert pack([], 10) == []
