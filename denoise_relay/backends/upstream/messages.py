"""What the upstream says, decoded: progress events, history records, answers, errors.

The contract is tolerant to read: unknown fields are ignored, text is cleaned, numbers are
clamped. What cannot be understood raises `ProtocolError`, and the caller counts it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from denoise_relay.backends.upstream.errors import UnknownStage
from denoise_relay.events import clean_pct, clean_text
from denoise_relay.exceptions import ProtocolError

#: Characters of a URL: signed ones are long, ten times this is an attack.
URL_LIMIT = 8192

# An id becomes a path segment of our next request: "../" must not.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Processing(msgspec.Struct, tag_field="stage", tag="processing", frozen=True):
    """The job goes on."""

    pct: Any = None
    message: Any = None

    @property
    def percent(self) -> float:
        """0-100; what is no number counts as 0, which the journal shows as "no further"."""
        return percent(self.pct)


class Done(msgspec.Struct, tag_field="stage", tag="done", frozen=True):
    """The job ended well; `url` may be missing, and is not checked here."""

    url: Any = None


class Failed(msgspec.Struct, tag_field="stage", tag="error", frozen=True):
    """The job ended badly."""

    message: Any = None


UpstreamEvent = Processing | Done | Failed

_EVENT = msgspec.json.Decoder(UpstreamEvent, strict=False)


class _Stage(msgspec.Struct):
    stage: str


class HistoryRecord(msgspec.Struct, frozen=True):
    """One job in the upstream's history; only what we use of it."""

    id: str
    status: str
    file_name: str | None = None
    audio_url: Any = None
    error: Any = None
    created_at: Any = None


class _Accepted(msgspec.Struct):
    denoise_id: str | None = msgspec.field(default=None, name="denoiseId")
    job_id: str | None = msgspec.field(default=None, name="jobId")


class _Error(msgspec.Struct):
    code: Any = msgspec.field(default=None, name="errorCode")
    message: Any = msgspec.field(default=None, name="errorMessage")


def decode_event(data: str) -> UpstreamEvent:
    """Decode the `data` of one SSE message; `ProtocolError` when it is not an event."""
    try:
        event: UpstreamEvent = _EVENT.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _odd_event(data)
    return event


def _odd_event(data: str) -> UpstreamEvent:
    """Look again, tolerantly, and tell what is wrong: not needed for most events."""
    value = load_json(data)
    try:
        event: UpstreamEvent = _convert(value, UpstreamEvent)
    except ProtocolError:
        head: _Stage = _convert(value, _Stage)
        raise UnknownStage(f"unknown stage {clean_text(head.stage, 40)!r}") from None
    return event


def decode_accepted(body: bytes) -> str:
    """Return the id of a job that the upstream has just taken."""
    answer: _Accepted = _convert(_unwrap(load_json(body)), _Accepted)
    for candidate in (answer.denoise_id, answer.job_id):
        if candidate and _ID.fullmatch(candidate):
            return candidate
    raise ProtocolError("the answer to a submission has no usable denoiseId")


def decode_records(body: bytes) -> list[HistoryRecord]:
    """Return the records of one history page; one that makes no sense is left out."""
    value = _unwrap(load_json(body))
    if not isinstance(value, list):
        raise ProtocolError(f"history is not a list but {type(value).__name__}")
    records = []
    for item in value:
        try:
            record: HistoryRecord = _convert(item, HistoryRecord)
        except ProtocolError:
            continue
        if _ID.fullmatch(record.id):
            records.append(record)
    return records


def decode_error(body: bytes) -> str:
    """Return the `errorMessage` of an error body (or its code), cleaned; "" when it is not one."""
    try:
        error: _Error = _convert(_unwrap(load_json(body)), _Error)
    except ProtocolError:
        return ""
    return text(error.message) or text(error.code)


def load_json(document: str | bytes) -> Any:
    """Decode untrusted JSON of bounded length; anything wrong with it is `ProtocolError`.

    msgspec first, for speed. Where it refuses, the standard library has a say: it accepts
    a lone surrogate, NaN and 1e999, and a terminal event must not be lost to one of these.
    """
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeError):
        pass
    except RecursionError:
        raise ProtocolError("JSON nested too deeply") from None
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as exc:
        # Not the text itself: bodies stay out of logs.
        raise ProtocolError(f"not JSON: {type(exc).__name__}") from None


def text(value: Any) -> str:
    """A message for people: cleaned, and "" when it is no text."""
    return clean_text(value) if isinstance(value, str) else ""


def url_text(value: Any) -> str:
    """A URL as the upstream gave it; "" when it is none or absurdly long."""
    return value.strip() if isinstance(value, str) and len(value) <= URL_LIMIT else ""


def percent(value: Any) -> float:
    """A number, or a string that holds one, clamped to 0-100."""
    if type(value) is float:  # most are
        return clean_pct(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    try:
        return clean_pct(float(value[:32] if isinstance(value, str) else value))
    except ValueError:
        return 0.0
    except OverflowError:  # an int beyond any float
        return 100.0 if isinstance(value, int) and value > 0 else 0.0


def _unwrap(value: Any) -> Any:
    """Look inside `{"statusCode": 200, "data": …}`, as other endpoints of the vendor wrap."""
    if isinstance(value, dict) and "data" in value and "statusCode" in value:
        return value["data"]
    return value


def _convert(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, UnicodeError) as exc:
        raise ProtocolError(f"outside the contract: {exc}") from None
