"""`denoise_doctor` against servers that are healthy, dead or frozen: it always ends."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.cluster import PostgresCluster
from tests.live.state_servers import Postgres, Valkey
from tests.processes import Process, manage

SECRETS = ("live tests only", "scripted-key")
#: Five for the database's handshake or ten for its probe, fifteen for a layer that hangs, …
LONGEST_SECONDS = 55.0


def doctor(
    cluster: PostgresCluster, folder: Path, **environ: str
) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Run it; return the exit code, and `(level, text)` by subject."""
    report = folder / f"doctor-{time.monotonic_ns()}.json"
    process = Process(
        "doctor",
        manage("denoise_doctor", "--json"),
        env={**cluster.env({}), **environ},
        log=report,
    )
    begun = time.monotonic()
    code = process.wait(LONGEST_SECONDS)
    assert time.monotonic() - begun < LONGEST_SECONDS
    text = report.read_text()
    assert not [secret for secret in SECRETS if secret in text]
    # The log comes before the report.
    body: dict[str, Any] = json.loads(text[text.index('{\n  "ok"') :])
    assert body["ok"] is (code == 0)
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in body["findings"]:
        assert finding["remedy"] or finding["level"] == "OK"
        found.setdefault(finding["subject"], []).append((finding["level"], finding["text"]))
    return code, found


def levels(findings: list[tuple[str, str]]) -> set[str]:
    return {level for level, _text in findings}


@pytest.mark.timeout(120)
def test_healthy_cluster_passes(cluster: PostgresCluster, tmp_path: Path) -> None:
    code, found = doctor(cluster, tmp_path)
    assert code == 0, found
    assert list(found) == [
        "configuration",
        "limits",
        "database",
        "channel layer",
        "storage",
        "backend",
        "work",
    ]
    # A busy machine may make something slow, which is a warning.
    bad = [text for findings in found.values() for level, text in findings if level != "OK"]
    assert not [text for text in bad if " ms." not in text], found
    (carried,) = found["channel layer"]
    assert "RedisPubSubChannelLayer carries a message in" in carried[1]


@pytest.mark.timeout(120)
def test_dead_valkey_and_refused_key_are_two_findings(
    cluster: PostgresCluster, valkey: Valkey, tmp_path: Path
) -> None:
    valkey.kill()
    try:
        code, found = doctor(cluster, tmp_path, DENOISE_RELAY_API_KEY="not-the-key")
    finally:
        valkey.start()
    assert code == 1
    assert levels(found["channel layer"]) == {"FAIL"}
    assert levels(found["backend"]) >= {"FAIL"}
    assert levels(found["database"]) == levels(found["storage"]) == {"OK"}


@pytest.mark.timeout(120)
def test_frozen_database_does_not_block_it(
    cluster: PostgresCluster, postgres: Postgres, tmp_path: Path
) -> None:
    os.kill(postgres.pid, signal.SIGSTOP)
    try:
        code, found = doctor(cluster, tmp_path)
    finally:
        os.kill(postgres.pid, signal.SIGCONT)
    assert code == 1
    assert levels(found["database"]) == {"FAIL"}
    assert levels(found["channel layer"]) == {"OK"}, "a part that hangs must not stop the others"
    assert levels(found["backend"]) == {"OK"}
