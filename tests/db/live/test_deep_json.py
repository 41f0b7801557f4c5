"""Deeply nested JSON from others: the message is refused, and nothing else happens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest
from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from channels.testing import WebsocketCommunicator

from denoise_relay.backends.upstream.messages import (
    decode_accepted,
    decode_error,
    decode_event,
    decode_records,
    load_json,
)
from denoise_relay.exceptions import ProtocolError
from denoise_relay.live.websocket import INPUT_BYTES
from denoise_relay.routing import websocket_urlpatterns

DEPTH = 100_000
DEEP = {
    "lists": "[" * DEPTH + "]" * DEPTH,
    "lists that never end": "[" * DEPTH,
    "objects": '{"a":' * DEPTH + "1" + "}" * DEPTH,
    "objects that never end": '{"a":' * DEPTH,
    # The fast decoder refuses NaN, and the other one is asked.
    "lists after NaN": "[NaN," + "[" * DEPTH + "]" * DEPTH + "]",
    "under a known name": '{"stage":"done","url":' + "[" * DEPTH + "]" * DEPTH + "}",
}
deep = pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())


@deep
@pytest.mark.parametrize("encode", [str, str.encode], ids=["text", "bytes"])
def test_upstream_cannot_exhaust_the_stack(text: str, encode: Callable[[str], str | bytes]) -> None:
    with pytest.raises(ProtocolError):
        load_json(encode(text))


@deep
def test_every_answer_of_an_upstream_may_be_deep(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_event(text)
    for decode in (decode_accepted, decode_records):
        with pytest.raises(ProtocolError):
            decode(text.encode())
    assert decode_error(text.encode()) == ""


@pytest.mark.parametrize("depth", [10, 100, 200, 400, 600, 800, 1000, 2000, 5000, 20_000])
@pytest.mark.parametrize("head", ["", "NaN,"], ids=["fast", "tolerant"])
def test_depths_around_every_limit_are_an_event_or_none(head: str, depth: int) -> None:
    """Between what one decoder bears and what the other does, nothing falls through."""
    inner = f"[{head}{'[' * depth}{']' * depth}]"
    for document in (
        f'{{"stage":"done","url":{inner}}}',
        f'{{"stage":"processing","pct":{inner}}}',
    ):
        try:
            event = decode_event(document)
        except ProtocolError:
            continue
        assert type(event).__name__ in ("Done", "Processing")


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    def logged() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]

    return logged


HALF = INPUT_BYTES // 2 - 20


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("the_feed")
@pytest.mark.parametrize(
    "text",
    [
        *DEEP.values(),
        # As deep as what is read at all can be.
        "[" * INPUT_BYTES,
        "[" * HALF + "]" * HALF,
        '{"watch":{"x":' + "[" * HALF + "]" * HALF + "}}",
        '{"ping":' + "[" * 700 + "]" * 700 + "}",
        '{"watch":{"x":' + "[" * 700 + "]" * 700 + "}}",
        '{"unwatch":' + "[" * 700 + "]" * 700 + ',"watch":7}',
        # Not deep, but long: Python refuses to write more than 4,300 digits.
        '{"ping":' + "1" * 5000 + "}",
    ],
    ids=lambda text: f"{text[:16]} ({len(text)})",
)
async def test_a_socket_answers_with_an_error_and_goes_on(
    text: str, errors: Callable[[], list[str]]
) -> None:
    application = SessionMiddlewareStack(URLRouter(websocket_urlpatterns))
    client = WebsocketCommunicator(application, "/ws/denoise/", headers=[(b"host", b"testserver")])
    accepted, _ = await client.connect(timeout=5)
    assert accepted
    await client.send_to(text_data=text)
    await client.send_to(text_data='{"ping": 7}')
    answers = [json.loads(await client.receive_from(timeout=5))]
    while "pong" not in answers[-1]:
        answers.append(json.loads(await client.receive_from(timeout=5)))
    await client.disconnect(timeout=5)
    assert [answer.get("error", "") for answer in answers[:-1]] in (["bad_request"], [])
    assert answers[-1] == {"pong": 7}
    assert errors() == []
