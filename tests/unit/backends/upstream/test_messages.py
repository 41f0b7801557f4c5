from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.backends.upstream.errors import UnknownStage
from denoise_relay.backends.upstream.messages import (
    Done,
    Failed,
    Processing,
    decode_accepted,
    decode_error,
    decode_event,
    decode_records,
    load_json,
    text,
    url_text,
)
from denoise_relay.exceptions import ProtocolError

ID = "5b1d2f7e-3f81-4c2a-9c5d-7a2e91b4c7a1"
BOMB = "[" * 60_000


@pytest.mark.parametrize(
    ("pct", "shown"),
    [
        ("15", 15),
        ("62.55", 62.5),
        ("NaN", 0),
        ("Infinity", 100),
        ("-Infinity", 0),
        ("-5", 0),
        ("1e9", 100),
        ("1e999", 100),
        ("1" + "0" * 400, 100),
        ("-1" + "0" * 400, 0),
        ('"62"', 62),
        ('"62%"', 0),
        ('"nan"', 0),
        ("true", 0),
        ("null", 0),
        ("[]", 0),
        ('{"a": 1}', 0),
    ],
)
def test_odd_percentages_are_clamped(pct: str, shown: float) -> None:
    event = decode_event(f'{{"stage":"processing","pct":{pct},"message":"x"}}')
    assert isinstance(event, Processing)
    assert event.percent == shown
    assert text(event.message) == "x"


def test_processing_needs_nothing_but_its_stage() -> None:
    event = decode_event('{"stage":"processing"}')
    assert isinstance(event, Processing)
    assert (event.percent, text(event.message)) == (0, "")


def test_unknown_fields_are_ignored() -> None:
    event = decode_event(f'{{"stage":"done","url":"https://a/b","denoiseId":"{ID}","x":[1]}}')
    assert event == Done(url="https://a/b")


def test_a_lone_surrogate_or_nul_does_not_cost_the_terminal_event() -> None:
    event = decode_event('{"stage":"error","message":"a\\ud800b\\u0000c"}')
    assert isinstance(event, Failed)
    assert text(event.message) == "a b c"


@pytest.mark.parametrize("stage", ["queued", "", "DONE", "x" * 5000, "\\ud800"])
def test_an_unknown_stage_is_told_apart(stage: str) -> None:
    with pytest.raises(UnknownStage) as caught:
        decode_event(f'{{"stage":"{stage}","pct":1}}')
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"done"',
        "{}",
        '{"stage":null}',
        '{"stage":["done"]}',
        BOMB,
        f'{{"stage":"done","url":{BOMB}',
        '{"stage":"done","url":' + "[" * 20_000 + "]" * 20_000 + "}",
        "1" * 5000,
        "<html>",
    ],
)
def test_nonsense_is_a_protocol_error(data: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_event(data)
    assert not isinstance(caught.value, UnknownStage)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["stage", "pct"]), inner),
    )
    | st.fixed_dictionaries(
        {"stage": st.sampled_from(["processing", "done", "error"])},
        optional={"pct": st.floats() | st.text() | st.integers(), "message": st.text() | st.none()},
    )
)
def test_any_json_gives_an_event_or_a_protocol_error(value: Any) -> None:
    try:
        event = decode_event(json.dumps(value))
    except ProtocolError:
        return
    if isinstance(event, Processing):
        assert 0 <= event.percent <= 100


@given(st.binary(max_size=200))
def test_any_bytes_give_json_or_a_protocol_error(document: bytes) -> None:
    try:
        load_json(document)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    "answer",
    [
        {"jobId": ID, "denoiseId": ID},
        {"denoiseId": ID},
        {"jobId": ID},
        {"statusCode": 200, "data": {"denoiseId": ID}},
        {"denoiseId": "../../etc", "jobId": ID},
    ],
)
def test_accepted(answer: dict[str, Any]) -> None:
    assert decode_accepted(json.dumps(answer).encode()) == ID


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"denoiseId": ""}', b'{"denoiseId": "a/../b"}', b'{"denoiseId": "'],
)
def test_an_answer_without_a_usable_id_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_accepted(body)


def test_a_bad_record_does_not_hide_the_good_ones() -> None:
    good = {"id": ID, "status": "success", "file_name": "a.wav", "audio_url": "https://a/b"}
    page: list[Any] = [None, {}, {"id": 5}, {"id": "a/b", "status": "pending"}, good, [[]]]
    records = decode_records(json.dumps(page).encode())
    assert [(r.id, r.status, r.audio_url) for r in records] == [(ID, "success", "https://a/b")]
    assert decode_records(json.dumps({"statusCode": 200, "data": page}).encode()) == records


@pytest.mark.parametrize("body", [b"{}", b"null", b"", BOMB.encode(), b'{"data": []}'])
def test_a_history_that_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_records(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"errorCode":"40201","errorMessage":"No credit\\u0000\\n"}', "No credit"),
        (b'{"statusCode":402,"data":{"errorMessage":"No credit"}}', "No credit"),
        (b'{"errorCode":"40201"}', "40201"),
        (b'{"errorMessage":["x"]}', ""),
        (b"<html>502</html>", ""),
        (BOMB.encode(), ""),
        (b"", ""),
    ],
)
def test_error_bodies(body: bytes, message: str) -> None:
    assert decode_error(body) == message


def test_absurd_urls_are_dropped() -> None:
    assert url_text(" https://a/b ") == "https://a/b"
    assert url_text("https://a/" + "b" * 10_000) == ""
    assert url_text(7) == ""
