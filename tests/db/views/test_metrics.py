"""`/metrics`: who may read it, and that each number moves when the thing happens."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import override_settings
from prometheus_client.parser import text_string_to_metric_families

from denoise_relay.views import metrics as view
from tests.db.factories import make_job
from tests.db.views.scraping import Client, read, value


@pytest.mark.django_db
def test_text_is_what_prometheus_reads_and_names_every_instrument() -> None:
    answer = read()
    assert answer.status == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    names = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert {
        f"denoise_relay_{name}"
        for name in (
            "jobs",
            "queue_oldest_seconds",
            "runners",
            "lease_takeovers",
            "leases_lost",
            "upload_bytes",
            "engine_seconds",
            "upstream_reconnects",
            "upstream_skipped_events",
            "events",
            "commit_group_entries",
            "publish_latency_seconds",
            "database_retries",
            "layer_failures",
            "watchers",
            "sockets",
            "skipped_frames",
            "feed_gaps",
        )
    } <= names
    assert "process_resident_memory_bytes" in names


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("remote", "headers"),
    [
        ("10.0.0.7", {}),
        ("192.0.2.1", {}),
        ("", {}),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1"}),
        ("127.0.0.1", {"forwarded": "for=192.0.2.1"}),
        ("127.0.0.1", {"x-real-ip": "192.0.2.1"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
        ("127.0.0.1", {"host": "testserver"}),
        ("127.0.0.1", {"authorization": "Bearer "}),
    ],
)
def test_without_a_token_only_this_machine_reads(remote: str, headers: dict[str, str]) -> None:
    others = {name: text for name, text in headers.items() if name != "host"}
    client = Client(remote, headers.get("host", "127.0.0.1"))
    answer = read(client, headers=others)
    refused = not headers.get("authorization")
    assert answer.status == (404 if refused else 200)
    assert (b"denoise_relay_" in answer.body) is not refused


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("remote", "host"),
    [
        ("127.0.0.1", "localhost"),
        ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "localhost:1"),
        ("127.9.9.9", "127.0.0.1"),
    ],
)
def test_this_machine_has_several_addresses(remote: str, host: str) -> None:
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert read(Client(remote, host)).status == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer open-sesame", 200),
        ("bearer open-sesame", 200),
        ("Bearer open-sesam", 401),
        ("Bearer öffne", 401),
        ("Basic open-sesame", 401),
        ("", 401),
    ],
)
def test_token_opens_it_from_anywhere_and_closes_it_here(given: str, status: int) -> None:
    with override_settings(DENOISE_RELAY={"METRICS_TOKEN": "open-sesame"}):
        for remote in ("127.0.0.1", "192.0.2.1"):
            answer = read(Client(remote), headers={"authorization": given})
            assert answer.status == status
    assert b"open-sesame" not in answer.body


@pytest.mark.django_db
def test_other_methods_are_refused() -> None:
    assert read(method="POST").status == 405


@pytest.mark.django_db(transaction=True)
def test_counting_is_cached() -> None:
    make_job()
    read()
    make_job()
    read()
    assert value("jobs", status="queued") == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_database_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    make_job()
    read()

    def away() -> None:
        raise OperationalError("away")

    monkeypatch.setattr(view, "_numbers", away)
    view._counted_at = float("-inf")
    answer = read()
    assert answer.status == 200
    assert b"denoise_relay_jobs{" not in answer.body
    assert b"denoise_relay_queue_oldest_seconds NaN" in answer.body
