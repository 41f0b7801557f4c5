"""`denoise --strength DB --loudness LUFS`: given to the jobs, or refused before there are any."""

from __future__ import annotations

import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from tests.db.factories import finish
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


@pytest.fixture
def talk(settings: Settings, tmp_path: Path) -> Path:
    """A recording. Other processes would run its job."""
    settings.DENOISE_RELAY = {"WORKER": "external"}
    path = tmp_path / "talk.wav"
    path.write_bytes(tone_wav(0.5))
    return path


def denoise(*arguments: str) -> None:
    try:
        call_command("denoise", *arguments, stdout=StringIO(), stderr=StringIO())
    finally:
        connections.close_all()  # of this thread


def test_the_job_has_the_options(talk: Path) -> None:
    arguments = (str(talk), "--strength", "12", "--loudness", "-16")
    command = threading.Thread(target=denoise, args=arguments, name="denoise-command")
    command.start()
    try:
        job = wait_for(Job.objects.first)
        assert (job.max_attenuation_db, job.loudness_lufs) == (12.0, -16.0)
    finally:
        finish(Job.objects.get())
        command.join(20)
    assert not command.is_alive()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--strength", "1"), "“1” is no strength: 3 to 100 dB"),
        (("--loudness", "loud"), "“loud” is no loudness: -31 to -9 LUFS"),
    ],
)
def test_wrong_options_are_refused(talk: Path, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        denoise(str(talk), *arguments)
    assert not Job.objects.exists()
