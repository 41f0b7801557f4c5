"""What the doctor says of an upstream, and of the local engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.doctor.backend import backend
from denoise_relay.doctor.run import Level
from denoise_relay.testing import ScriptedUpstream, answers
from tests.db.doctor.examining import found, worst


@pytest.fixture
def upstream(settings: Settings) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as scripted:
        settings.DENOISE_RELAY = {
            "BACKEND": "upstream",
            "UPSTREAM_URL": scripted.url,
            "API_KEY": scripted.key,
        }
        yield scripted


def test_upstream_that_takes_the_key(upstream: ScriptedUpstream) -> None:
    ((level, text),) = found(backend)
    assert level is Level.OK
    assert text.startswith(f"{upstream.url} accepts the key and answers in ")
    assert [seen.path for seen in upstream.seen] == ["/api/v1/denoise"]
    assert upstream.counts["submit"] == 0, "a submission is billed"


def test_upstream_that_refuses_the_key(upstream: ScriptedUpstream, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "API_KEY": "wrong-key"}
    bad = worst(backend)
    assert bad.level is Level.FAIL
    assert "refuses the key" in bad.text
    assert "wrong-key" not in bad.text + bad.remedy


@pytest.mark.parametrize(
    ("status", "level", "words"),
    [
        (402, Level.FAIL, "wants money"),
        (404, Level.FAIL, "answers with HTTP 404"),
        (429, Level.WARN, "is busy"),
        (500, Level.FAIL, "answers with HTTP 500"),
        (503, Level.WARN, "is busy"),
    ],
)
def test_upstream_that_says_no(
    upstream: ScriptedUpstream, status: int, level: Level, words: str
) -> None:
    upstream.on_list(answers.error(status, "No."))
    bad = worst(backend)
    assert bad.level is level
    assert words in bad.text


def test_upstream_that_is_somebody_else(upstream: ScriptedUpstream) -> None:
    upstream.on_list(answers.body(200, b"<p>Hello.</p>", "text/html"))
    bad = worst(backend)
    assert bad.level is Level.FAIL
    assert "does not speak the contract" in bad.text


def test_upstream_that_is_away(settings: Settings, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    settings.DENOISE_RELAY = {"BACKEND": "upstream", "UPSTREAM_URL": url, "API_KEY": "k"}
    bad = worst(backend)
    assert bad.level is Level.FAIL
    assert bad.text.startswith(f"{url} cannot be reached")


def test_engine_really_denoises(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"BACKEND": "local"}
    ((_level, text),) = found(backend)
    assert text.startswith("The local engine cleaned 1 s of sound in ")


@pytest.mark.parametrize(
    "error", [engine.EngineCrashed("signal 11"), engine.EngineUnavailable("av")]
)
def test_engine_that_does_not_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise error

    settings.DENOISE_RELAY = {"BACKEND": "local"}
    monkeypatch.setattr(engine, "denoise", broken)
    bad = worst(backend)
    assert bad.level is Level.FAIL
    assert type(error).__name__ in bad.text
