"""The demo site's settings, from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from project import databases, environment, layers
from project.secret import kept_secret

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def settings_of(expression: str, **environ: str) -> str:
    """Print an expression over `project.settings`, imported afresh with these variables only."""
    done = subprocess.run(
        [sys.executable, "-c", f"from project.settings import *; print(repr(({expression})))"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": "x" * 50, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.splitlines()[-1]


def test_relay_variables_are_read_by_type() -> None:
    shown = settings_of(
        "DENOISE_RELAY",
        DENOISE_RELAY_LEASE_SECONDS="3",
        DENOISE_RELAY_STORE_RESULTS="no",
        DENOISE_RELAY_ALLOWED_RESULT_HOSTS="a.example, b.example:81",
    )
    assert eval(shown) == {
        "BACKEND": "local",
        "LEASE_SECONDS": 3.0,
        "STORE_RESULTS": False,
        "ALLOWED_RESULT_HOSTS": ["a.example", "b.example:81"],
    }


def test_production_without_a_secret_key_is_refused() -> None:
    assert "Set SECRET_KEY" in settings_of("1", DEBUG="0", SECRET_KEY="")


def test_hosts_and_folders_come_from_the_environment(tmp_path: Path) -> None:
    shown = settings_of(
        "ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS, str(MEDIA_ROOT), str(STATIC_ROOT), DEBUG",
        ALLOWED_HOSTS="a.example,b.example",
        CSRF_TRUSTED_ORIGINS="https://a.example",
        MEDIA_ROOT=f"{tmp_path}/media",
        STATIC_ROOT=f"{tmp_path}/static",
        DEBUG="0",
    )
    assert eval(shown) == (
        ["a.example", "b.example"],
        ["https://a.example"],
        f"{tmp_path}/media",
        f"{tmp_path}/static",
        False,
    )


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("on", True), ("0", False), ("False", False), ("", True)]
)
def test_flag_reads_what_people_write(
    monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    monkeypatch.setenv("DEBUG", text)
    assert environment.flag("DEBUG", default=True) is value


def test_flag_refuses_a_typo_rather_than_leave_debug_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "flase")
    with pytest.raises(ImproperlyConfigured, match="flase"):
        environment.flag("DEBUG", default=True)


def test_secret_is_one_for_all_who_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "var/secret_key"
    together = threading.Barrier(8)
    found: list[str] = []

    def come() -> None:
        together.wait(timeout=10)
        found.append(kept_secret(path))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) >= 50
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]


def test_sqlite_lets_writers_wait(tmp_path: Path) -> None:
    database = databases.from_url(f"sqlite:///{tmp_path}/folder/db.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert (tmp_path / "folder").is_dir()


def test_postgres_keeps_what_the_url_says_and_bounds_waiting() -> None:
    database = databases.from_url("postgres://u:p@db.example/relay?sslmode=require")
    assert database["HOST"] == "db.example"
    assert database["CONN_MAX_AGE"] == 0
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["connect_timeout"] > 0


def test_layer_is_in_memory_without_a_url_and_patient_with_one() -> None:
    assert layers.from_url("")["BACKEND"].endswith("InMemoryChannelLayer")
    layer = layers.from_url("redis://cache.example:6379/1")
    (host,) = layer["CONFIG"]["hosts"]
    assert layer["BACKEND"].endswith("RedisPubSubChannelLayer")
    assert host["address"] == "redis://cache.example:6379/1"
    # redis-py 8's default of 5 s equals the layer's blocking read.
    assert host["socket_timeout"] > 5
