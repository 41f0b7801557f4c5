from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.backends.upstream.sse import EventParser, ServerSentEvent
from denoise_relay.exceptions import ProtocolError

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "sse_cases.json").read_text(encoding="utf-8")
)["cases"]

#: Streams as hostile as they come: every special byte is likely.
streams = st.lists(
    st.sampled_from(
        [b"data", b"data:", b"data: ", b"id", b"id: 7", b"event:", b"retry: 5", b": ping", b"x",
         b" ", b":", b"\n", b"\n\n", b"\r", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xff", b"\xe2\x82",
         b"\xe2\x82\xac", "\u2028\u0085".encode()]
    )
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)  # fmt: skip


def parse(chunks: list[bytes], parser: EventParser | None = None) -> list[ServerSentEvent]:
    parser = parser or EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def case_chunks(case: dict[str, Any]) -> list[bytes]:
    return [
        base64.b64decode(chunk)
        if isinstance(chunk, str)
        else base64.b64decode(chunk["b64"]) * chunk["times"]
        for chunk in case["chunks"]
    ]


def case_events(case: dict[str, Any]) -> list[ServerSentEvent]:
    expected = []
    for event in case["events"]:
        data = event["data"]
        if not isinstance(data, str):
            text = data["text"] * data["times"]
            data = text[: len(text) - data.get("chop", 0)]
        fact = ServerSentEvent(data, event["event"], event["id"], event["retry"])
        expected += [fact] * event.get("times", 1)
    return expected


def check_case(case: dict[str, Any], chunks: list[bytes]) -> None:
    parser = EventParser()
    assert parse(chunks, parser) == case_events(case)
    assert parser.last_event_id == case["final"]["last_event_id"]
    assert parser.retry == case["final"]["retry"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case_in_its_own_chunks(case: dict[str, Any]) -> None:
    check_case(case, case_chunks(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case_byte_by_byte(case: dict[str, Any]) -> None:
    check_case(case, [bytes([byte]) for byte in b"".join(case_chunks(case))])


def by_the_letter(stream: bytes) -> list[ServerSentEvent]:
    """The standard, taken literally over the whole text at once."""
    text = stream.decode(errors="replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    events: list[ServerSentEvent] = []
    data, kind, last_id, delay = "", "", "", None
    for line in lines:
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line == "":
            if data:
                events.append(
                    ServerSentEvent(data.removesuffix("\n"), kind or "message", last_id, delay)
                )
            data, kind, delay = "", "", None
        elif name == "data":
            data += value + "\n"
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value and all(c in "0123456789" for c in value):
            delay = int(value)
    return events


@given(streams)
def test_agrees_with_the_standard_read_literally(stream: bytes) -> None:
    assert parse([stream]) == by_the_letter(stream)


@given(streams, st.lists(st.integers(0, 200), max_size=12))
def test_chunking_changes_nothing(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert parse([stream[a:b] for a, b in pairwise(edges)]) == parse([stream])


@given(streams, st.integers(1, 12))
def test_small_bounds_raise_protocol_error_alone(stream: bytes, bound: int) -> None:
    """And the events before the fault are the same however the bytes were cut."""

    def outcome(chunks: list[bytes]) -> tuple[list[ServerSentEvent], str]:
        parser = EventParser(max_line_bytes=bound, max_event_bytes=bound, max_data_lines=2)
        events = []
        try:
            for chunk in chunks:
                for event in parser.feed(chunk):
                    events.append(event)
        except ProtocolError as error:
            return events, str(error)
        return events, ""

    assert outcome([stream]) == outcome([bytes([byte]) for byte in stream])


def test_an_event_ended_by_cr_cr_is_not_held_back() -> None:
    assert parse([b"data: x\r\r"]) == [ServerSentEvent("x")]


def test_an_id_counts_without_an_event() -> None:
    parser = EventParser()
    assert parse([b"id: 5\n\n"], parser) == []
    assert parser.last_event_id == "5"


def test_an_endless_line_is_refused_before_it_is_kept() -> None:
    parser = EventParser(max_line_bytes=1000)
    with pytest.raises(ProtocolError, match="1000 bytes"):
        parse([b"data: " + b"x" * 300] * 4, parser)


def test_a_line_of_exactly_the_bound_passes() -> None:
    line = b"data: " + b"x" * 94
    assert len(parse([line + b"\n\n"], EventParser(max_line_bytes=100))) == 1


def test_many_data_lines_are_refused() -> None:
    with pytest.raises(ProtocolError, match="3 data lines"):
        parse([b"data:\n" * 4], EventParser(max_data_lines=3))


def test_an_event_of_many_short_lines_is_refused() -> None:
    with pytest.raises(ProtocolError, match="100 bytes"):
        parse([b"data: 123456789\n" * 11], EventParser(max_event_bytes=100))


def test_a_fault_does_not_swallow_the_event_before_it() -> None:
    events = EventParser(max_line_bytes=20).feed(b"data: done\n\n" + b"x" * 100)
    assert next(events) == ServerSentEvent("done")
    with pytest.raises(ProtocolError):
        next(events)


def test_retry_of_thousands_of_digits_is_ignored() -> None:
    parser = EventParser()
    parse([b"retry: " + b"9" * 5000 + b"\n\n"], parser)
    assert parser.retry is None
