"""`denoise_analyse`: what finished jobs lack is made up for."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from denoise_relay import engine
from denoise_relay.models import DerivedFile, Job
from tests.db.analyses import analysed_job
from tests.db.factories import fail, finish, stored_job
from tests.unit.engine import material

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
SPEECH = (material.DATA / "speech.flac").read_bytes()


def analyse(*arguments: str) -> str:
    out = StringIO()
    call_command("denoise_analyse", *arguments, stdout=out)
    return out.getvalue()


def speech() -> Job:
    return finish(stored_job(SPEECH, file_name="speech.flac"), SPEECH)


def numbers(pk: UUID) -> object:
    return Job.objects.get(pk=pk).statistics


def test_what_is_missing_is_made_up_for_and_only_that(media: Path) -> None:
    job, known = speech(), analysed_job()
    before = known.statistics
    fail(stored_job(), "No.")

    assert f"1/1 {job.pk} analysed" in analyse()
    assert numbers(job.pk) is not None
    assert numbers(known.pk) == before
    assert job.derived_files.filter(kind="comparison").exists()
    assert analyse() == "0 jobs were analysed.\n"

    files = {Path(row.file.path) for row in DerivedFile.objects.filter(job=job)}
    with pytest.raises(CommandError, match=r"1 of 2 could not be analysed\."):
        analyse("--all")  # one of them is no recording
    replaced = {Path(row.file.path) for row in DerivedFile.objects.filter(job=job)}
    assert len(replaced) == len(files)
    assert not replaced & files
    assert not any(path.exists() for path in files)


def test_a_recording_that_cannot_be_analysed_stops_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, bad = speech(), finish(stored_job(b"no audio"))

    with pytest.raises(CommandError, match=r"1 of 2 could not be analysed\.") as failure:
        call_command("denoise_analyse")

    assert failure.value.returncode == 1
    said = capsys.readouterr().out
    assert f"1/2 {bad.pk} failed: " in said
    assert f"2/2 {good.pk} analysed" in said
    assert numbers(good.pk) is not None


def test_without_the_engine_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available", lambda: False)

    with pytest.raises(CommandError, match="engine is not installed"):
        analyse()


def test_an_interruption_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    speech()

    async def interrupt(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "analyse", interrupt)
    with pytest.raises(CommandError, match=r"Interrupted after 0 of 1\.") as failure:
        analyse()
    assert failure.value.returncode == 130
