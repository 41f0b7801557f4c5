"""Log lines for machines: one JSON object each, with job and seq, whatever goes into them."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.runtime import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What a handler with our formatter writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonFormatter())
    logs.logger.addHandler(handler)
    level = logs.logger.level
    logs.logger.setLevel(logging.DEBUG)
    yield written
    logs.logger.removeHandler(handler)
    logs.logger.setLevel(level)


def record(message: object = "Said %d", *args: object, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("some.logger", logging.WARNING, "x.py", 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_a_line_has_the_sentence_and_the_fields(stream: io.StringIO) -> None:
    job = uuid4()
    logs.logger.warning(
        "Job %s ended", job, extra=logs.fields("job_failed", job=str(job), seq=7, detail="deadline")
    )
    (line,) = stream.getvalue().splitlines()
    body = json.loads(line)
    at = datetime.fromisoformat(body.pop("at"))
    assert at.utcoffset() == timedelta(0)
    assert body == {
        "level": "WARNING",
        "logger": "denoise_relay",
        "message": f"Job {job} ended",
        "process": os.getpid(),
        "action": "job_failed",
        "job": str(job),
        "seq": 7,
        "detail": "deadline",
    }


def test_exception_is_in_the_same_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logs.logger.exception("It broke", extra=logs.fields("broke"))
    (line,) = stream.getvalue().splitlines()
    trace = json.loads(line)["trace"]
    assert trace.startswith("Traceback")
    assert trace.endswith("ValueError: two\nlines")


def test_endless_traceback_is_cut_and_keeps_its_ends() -> None:
    try:
        raise ValueError("x" * 100_000 + "the end")
    except ValueError:
        made = record("It broke")
        made.exc_info = sys.exc_info()
    trace = json.loads(logs.JsonFormatter().format(made))["trace"]
    assert len(trace) < logs.TRACE_LIMIT + 10
    assert trace.startswith("Traceback")
    assert trace.endswith("the end")


def test_fields_never_replace_the_standard_keys() -> None:
    made = record("Said", **logs.fields("a", level="CRITICAL", at="never", logger="x"))
    body = json.loads(logs.JsonFormatter().format(made))
    assert body["level"] == "WARNING"
    assert body["logger"] == "some.logger"
    assert body["at"] != "never"


def test_records_of_other_packages_need_no_fields() -> None:
    body = json.loads(logs.JsonFormatter().format(record("Said %d", 3, request="not ours")))
    assert body["message"] == "Said 3"
    assert not {"action", "request"} & body.keys()


@given(st.text(), st.one_of(st.text(), st.binary(), st.floats(), st.uuids(), st.none()))
def test_any_text_and_value_make_one_line_of_json(message: str, value: object) -> None:
    made = record("%s", message, **logs.fields("any", value=value))
    line = logs.JsonFormatter().format(made)
    assert "\n" not in line
    assert line.isascii()
    assert json.loads(line)["message"] == message
