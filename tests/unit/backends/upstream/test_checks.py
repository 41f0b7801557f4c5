from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.conf import RelaySettings


def ids(**settings: Any) -> list[str]:
    messages = UpstreamBackend.check(RelaySettings(**settings))
    return [str(message.id).removeprefix("denoise_relay.") for message in messages]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, ["W101"]),
        ({"API_KEY": "k"}, []),
        ({"API_KEY": "k\n"}, ["E102"]),
        ({"API_KEY": "a b"}, ["E102"]),
        ({"UPSTREAM_URL": "http://127.0.0.1:8001/api/v1"}, ["W103"]),
        ({"UPSTREAM_URL": "http://localhost:8001/api/v1"}, ["W103"]),
        ({"UPSTREAM_URL": "http://[::1]:8001/api/v1"}, ["W103"]),
        (
            {
                "UPSTREAM_URL": "http://127.0.0.1:8001/api/v1",
                "ALLOWED_RESULT_HOSTS": ("127.0.0.1:8001",),
            },
            [],
        ),
        (
            {
                "UPSTREAM_URL": "http://localhost:8001/api/v1",
                "ALLOWED_RESULT_HOSTS": ("LocalHost",),
            },
            [],
        ),
        ({"UPSTREAM_URL": "http://127.0.0.1:8001/api/v1", "STORE_RESULTS": False}, []),
        ({"UPSTREAM_URL": "http://relay.example/api/v1", "API_KEY": "k"}, ["W104"]),
        ({"UPSTREAM_URL": "https://user:pass@relay.example/api/v1", "API_KEY": "k"}, ["E105"]),
    ],
)
def test_checks(settings: dict[str, Any], found: list[str]) -> None:
    assert ids(**settings) == found


def test_messages_name_the_remedy_and_no_secret() -> None:
    settings = RelaySettings(
        UPSTREAM_URL="http://127.0.0.1:8001/api/v1", API_KEY="very secret\n", STORE_RESULTS=True
    )
    messages = UpstreamBackend.check(settings)
    assert len(messages) == 2
    assert all(message.hint for message in messages)
    assert "127.0.0.1:8001" in str(messages[1].hint)
    assert "secret" not in " ".join(f"{message} {message.hint}" for message in messages)


def test_a_key_that_cannot_travel_is_refused_without_being_quoted() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        UpstreamBackend(RelaySettings(API_KEY="very secret"))
    assert "very" not in str(caught.value)
