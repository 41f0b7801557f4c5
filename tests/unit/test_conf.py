from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pytest_django import Settings

from denoise_relay.conf import RelaySettings, from_environ, problems, relay_settings


def test_an_empty_dict_is_all_defaults(settings: Settings) -> None:
    settings.DENOISE_RELAY = {}

    assert relay_settings() == RelaySettings()
    assert list(problems()) == []


def test_no_dict_at_all_is_all_defaults(settings: Settings) -> None:
    del settings.DENOISE_RELAY

    assert relay_settings() == RelaySettings()
    assert list(problems()) == []


def test_a_change_of_the_setting_is_seen(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"LEASE_SECONDS": 3}
    first = relay_settings().LEASE_SECONDS
    settings.DENOISE_RELAY = {"LEASE_SECONDS": 4}

    assert (first, relay_settings().LEASE_SECONDS) == (3.0, 4.0)
    assert isinstance(relay_settings().LEASE_SECONDS, float)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("LEASE_SECONDS", 0, "must be positive, not 0"),
        ("LEASE_SECONDS", -1, "must be positive, not -1"),
        ("LEASE_SECONDS", "15", "must be a number, not '15'"),
        ("LEASE_SECONDS", True, "must be a number, not True"),
        ("LEASE_SECONDS", float("nan"), "must be positive, not nan"),
        ("LEASE_SECONDS", float("inf"), "must be positive, not inf"),
        ("LEASE_SECONDS", 10**400, f"must be smaller, not {10**400!r}"),
        ("MAX_ACTIVE_JOBS", 1.5, "must be a whole number, not 1.5"),
        ("MAX_ACTIVE_JOBS", float("inf"), "must be a whole number, not inf"),
        ("STORE_RESULTS", 1, "must be True or False, not 1"),
        ("WORKER", "celery", "must be one of embedded, external, not 'celery'"),
        ("WORKER", ["embedded"], "must be a string, not ['embedded']"),
        ("ON_LOST_SUBMISSION", "", "must be one of resubmit, fail, not ''"),
        ("BACKEND", "remote", "must be upstream, local or a dotted path, not 'remote'"),
        ("UPSTREAM_URL", "ftp://x", "must be an http or https URL, not 'ftp://x'"),
        ("UPSTREAM_URL", "http://", "must be an http or https URL, not 'http://'"),
        ("UPSTREAM_URL", "http://[::1", "must be an http or https URL, not 'http://[::1'"),
        ("UPSTREAM_URL", "http://x:port", "must be an http or https URL, not 'http://x:port'"),
        ("ALLOWED_RESULT_HOSTS", "cdn", "must be a list of strings, not 'cdn'"),
        ("ALLOWED_RESULT_HOSTS", [1], "must be a list of strings, not [1]"),
        ("ALLOWED_RESULT_HOSTS", None, "must be a list of strings, not None"),
        ("ALLOWED_RESULT_HOSTS", 5, "must be a list of strings, not 5"),
        ("API_KEY", 5, "must be a string"),
    ],
)
def test_a_bad_value_is_reported_and_the_default_serves(
    settings: Settings, key: str, value: Any, problem: str
) -> None:
    settings.DENOISE_RELAY = {key: value}

    assert list(problems()) == [(key, problem)]
    assert relay_settings() == RelaySettings()


@pytest.mark.parametrize("key", ["MAX_ENGINES", "RETENTION_DAYS", "SUBMISSION_GRACE_SECONDS"])
def test_zero_is_allowed_where_it_has_a_meaning(settings: Settings, key: str) -> None:
    settings.DENOISE_RELAY = {key: 0}

    assert list(problems()) == []
    assert getattr(relay_settings(), key) == 0


def test_an_unknown_key_names_those_that_exist(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"LEASE": 3, 7: 1}

    (lease, lease_problem), (seven, _) = problems()

    known = ", ".join(sorted(field.name for field in dataclasses.fields(RelaySettings)))
    assert (lease, lease_problem) == ("LEASE", f"is unknown; known keys: {known}")
    assert seven == "7"


def test_something_else_than_a_dict(settings: Settings) -> None:
    settings.DENOISE_RELAY = ["BACKEND"]

    assert list(problems()) == [("DENOISE_RELAY", "must be a dict, not list")]
    assert relay_settings() == RelaySettings()


def test_a_key_is_never_repeated_in_a_problem(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"API_KEY": b"dr_secret"}

    assert "dr_secret" not in str(list(problems()))


def test_from_environ_reads_each_key_by_its_type(settings: Settings) -> None:
    found = from_environ(
        {
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_LEASE_SECONDS": "3",
            "DENOISE_RELAY_MAX_UPLOAD_BYTES": " 1000 ",
            "DENOISE_RELAY_STORE_RESULTS": "no",
            "DENOISE_RELAY_ALLOWED_RESULT_HOSTS": "127.0.0.1:8001, cdn.example,",
            "DENOISE_RELAY_API_KEY": "k",
            "DENOISE_RELAY_OF_SOMETHING_ELSE": "x",
            "LEASE_SECONDS": "9",
        }
    )

    assert found == {
        "BACKEND": "upstream",
        "LEASE_SECONDS": 3.0,
        "MAX_UPLOAD_BYTES": 1000,
        "STORE_RESULTS": False,
        "ALLOWED_RESULT_HOSTS": ["127.0.0.1:8001", "cdn.example"],
        "API_KEY": "k",
    }
    settings.DENOISE_RELAY = found
    assert list(problems()) == []


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("LEASE_SECONDS", "soon", "must be a number, not 'soon'"),
        ("MAX_ENGINES", "1.5", "must be a number, not '1.5'"),
        ("STORE_RESULTS", "perhaps", "must be True or False, not 'perhaps'"),
    ],
)
def test_from_environ_leaves_nonsense_to_the_checks(
    settings: Settings, key: str, text: str, problem: str
) -> None:
    settings.DENOISE_RELAY = from_environ({f"DENOISE_RELAY_{key}": text})

    assert list(problems()) == [(key, problem)]


def test_secrets_are_in_no_representation(settings: Settings) -> None:
    """Tracebacks with locals, debuggers and careless log lines show settings by `repr`."""
    settings.DENOISE_RELAY = {"API_KEY": "sk-the-key", "METRICS_TOKEN": "the-token"}
    shown = f"{relay_settings()!r} {relay_settings()}"

    assert (relay_settings().API_KEY, relay_settings().METRICS_TOKEN) == ("sk-the-key", "the-token")
    assert "the-key" not in shown
    assert "the-token" not in shown
    assert "LEASE_SECONDS=15.0" in shown
