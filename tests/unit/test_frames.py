from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from denoise_relay.events import Event, Stage
from denoise_relay.frames import (
    contract_payload,
    json_number,
    make_frame,
    sse_message,
    timestamp,
    to_json,
)

JOB = UUID("5b1d2f7e-3f81-4c2a-9c5d-7a2e91b4c7a1")
AT = datetime(2026, 11, 22, 9, 30, 1, 234_567, tzinfo=UTC)


def event(**changes: Any) -> Event:
    facts: dict[str, Any] = {
        "job": JOB,
        "seq": 7,
        "stage": Stage.PROCESSING,
        "pct": 62.0,
        "message": "Running noise reduction",
        "at": AT,
    }
    return Event(**facts | changes)


def test_frame_of_progress() -> None:
    assert json.loads(make_frame(event()).text) == {
        "job": str(JOB),
        "seq": 7,
        "stage": "processing",
        "pct": 62,
        "message": "Running noise reduction",
        "at": "2026-11-22T09:30:01.234Z",
    }


def test_frame_of_done_has_the_url_of_the_recording() -> None:
    done = event(stage=Stage.DONE, pct=100.0, url="https://cdn.example/5b1d.wav")

    assert json.loads(make_frame(done).text)["url"] == "https://cdn.example/5b1d.wav"
    assert json.loads(make_frame(replace(done, url="/ours")).text)["url"] == "/ours"
    assert json.loads(make_frame(done).text)["denoiseId"] == str(JOB)


def test_a_warning_is_in_the_frame_and_for_programs_where_there_is_one() -> None:
    done = event(stage=Stage.DONE, pct=100.0, url="/ours", warning="No speech was found.")

    for text in (make_frame(done).text, contract_payload(done)):
        assert json.loads(text)["warning"] == "No speech was found."
    for text in (make_frame(replace(done, warning="")).text, contract_payload(event())):
        assert "warning" not in json.loads(text)


def test_frame_of_an_error_has_no_url() -> None:
    body = json.loads(make_frame(event(stage=Stage.ERROR, message="No audio", url="/ours")).text)

    assert body["message"] == "No audio"
    assert not {"url", "denoiseId"} & set(body)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"stage": "processing", "pct": 62, "message": "Running noise reduction"}),
        ({"message": "", "pct": 62.5}, {"stage": "processing", "pct": 62.5}),
        (
            {"stage": Stage.DONE, "url": "https://cdn.example/x"},
            {"stage": "done", "url": "https://cdn.example/x", "denoiseId": str(JOB)},
        ),
        (
            {"stage": Stage.ERROR, "message": "Too long"},
            {"stage": "error", "message": "Too long"},
        ),
    ],
)
def test_contract_payload(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json.loads(contract_payload(event(**changes))) == expected


@pytest.mark.parametrize(("pct", "text"), [(62.0, "62"), (62.5, "62.5"), (0, "0"), (100, "100")])
def test_whole_numbers_have_no_fraction(pct: float, text: str) -> None:
    assert to_json(json_number(pct)) == text


def test_timestamp_is_utc_whatever_the_zone() -> None:
    east = AT.astimezone(timezone(timedelta(hours=3)))

    assert timestamp(east) == "2026-11-22T09:30:01.234Z"


def test_sse_message() -> None:
    assert sse_message('{"a":1}', seq=7) == b'id: 7\ndata: {"a":1}\n\n'
    assert sse_message("{}") == b"data: {}\n\n"


def test_a_frame_is_one_line_for_any_message() -> None:
    text = make_frame(event(message='line\nbreak " \\ \u2028 ضوضاء')).text

    assert "\n" not in text
    assert "\r" not in text
    assert json.loads(text)["message"] == 'line\nbreak " \\ \u2028 ضوضاء'
