"""What a process that runs for long does to Python."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from pytest_django import Settings

from denoise_relay.runtime import tuning

SHOWN = """
import asyncio, gc, django
django.setup()
from denoise_relay.runtime import tuning
tuning.tune()
first = gc.get_freeze_count()
kept = [[] for _ in range(1000)]
tuning.tune()
print(first > 10_000, gc.get_freeze_count() == first, gc.get_threshold()[2])
"""


def shown(tune_gc: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOWN],
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "project.settings", "DENOISE_RELAY_TUNE_GC": tune_gc},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_what_is_loaded_is_passed_over_once() -> None:
    assert shown("1") == ["True", "True", str(tuning.FULL_COLLECTION_EVERY)]


def test_the_collector_is_left_alone_where_the_site_says_so() -> None:
    assert shown("0") == ["False", "True", "10"]


def test_the_loop_is_uvloops_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    make = tuning.loop_factory()
    assert make is not None
    with asyncio.Runner(loop_factory=make) as runner:
        assert isinstance(runner.get_loop(), uvloop.Loop)


def test_the_loop_is_pythons_own_elsewhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr("importlib.util.find_spec", lambda name: None)
        assert tuning.loop_factory() is None
    settings.DENOISE_RELAY = settings.DENOISE_RELAY | {"UVLOOP": False}
    assert tuning.loop_factory() is None
