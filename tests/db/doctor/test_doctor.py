"""`denoise_doctor`: each thing that can be wrong is found, named, and comes with a remedy."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.doctor import database as doctor_database
from denoise_relay.doctor.backend import backend
from denoise_relay.doctor.channel_layer import layer
from denoise_relay.doctor.configuration import configuration, limits
from denoise_relay.doctor.database import database
from denoise_relay.doctor.diagnoses import DIAGNOSES
from denoise_relay.doctor.findings import Diagnosis, Finding, Level, fail, ok
from denoise_relay.doctor.run import examine, in_thread
from denoise_relay.doctor.storage import storage
from denoise_relay.doctor.workers import work
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.testing import ScriptedUpstream, answers
from tests.db.factories import FAILED, end, make_job, stored_job

committed = pytest.mark.django_db(transaction=True)
Look = Callable[[], Awaitable[Sequence[Finding]]]


def found(look: Look) -> list[tuple[Level, str]]:
    """Level and text of everything that a diagnosis says."""
    return [(finding.level, finding.text) for finding in asyncio.run(_gather(look))]


async def _gather(look: Look) -> Sequence[Finding]:
    return await look()


def worst(look: Look) -> Finding:
    """The finding that is not OK; there must be exactly one, and it must say what to do."""
    (bad,) = [finding for finding in asyncio.run(_gather(look)) if finding.level is not Level.OK]
    assert bad.remedy
    return bad


def examined(*diagnoses: Diagnosis) -> list[tuple[str, Finding]]:
    async def all_of_it() -> list[tuple[str, Finding]]:
        return [pair async for pair in examine(diagnoses)]

    return asyncio.run(all_of_it())


# --- The examination itself ------------------------------------------------------------------


async def _breaks() -> Sequence[Finding]:
    raise ZeroDivisionError("of all things")


async def _hangs() -> Sequence[Finding]:
    await asyncio.Event().wait()
    return []


async def _works() -> Sequence[Finding]:
    return [ok("Fine.")]


def test_probe_that_breaks_or_hangs_stops_no_other() -> None:
    diagnoses = [
        Diagnosis(subject="broken", run=_breaks, seconds=5, remedy="Mend it."),
        Diagnosis(subject="hanging", run=_hangs, seconds=0.05, remedy="Shake it."),
        Diagnosis(subject="fine", run=_works, seconds=5, remedy="None."),
    ]
    assert examined(*diagnoses) == [
        ("broken", fail("ZeroDivisionError: of all things", "Mend it.")),
        ("hanging", fail("No answer within 0.05 s.", "Shake it.")),
        ("fine", ok("Fine.")),
    ]


def test_thread_that_hangs_keeps_nobody() -> None:
    never = threading.Event()

    async def look() -> Sequence[Finding]:
        return await in_thread(lambda: [ok(str(never.wait(20)))])

    diagnosis = Diagnosis(subject="hanging", run=look, seconds=0.05, remedy="Shake it.")
    assert examined(diagnosis) == [("hanging", fail("No answer within 0.05 s.", "Shake it."))]
    (thread,) = [t for t in threading.enumerate() if t.name == "denoise-doctor"]
    assert thread.daemon, "Python would wait for it at its end"
    never.set()
    thread.join(5)


def test_no_secret_gets_out(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"API_KEY": "the-api-key", "METRICS_TOKEN": "the-token"}
    settings.SECRET_KEY = "the-secret-key"

    async def blabs() -> Sequence[Finding]:
        raise RuntimeError(
            "the-api-key the-token\nthe-secret-key redis://:hunter2@h:1/0 postgres://u:p@h/d"
        )

    ((_, finding),) = examined(Diagnosis(subject="x", run=blabs, seconds=5, remedy="Hush."))
    assert finding.text == "RuntimeError: *** *** *** redis://***@h:1/0 postgres://***@h/d"


# --- Probes ------------------------------------------------------------------------------------


def test_configuration_shows_what_the_checks_say(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"BACKEND": "local", "LEASE_SECONDS": "soon"}
    ((level, text),) = found(configuration)
    assert level is Level.FAIL
    assert text == (
        "DENOISE_RELAY: LEASE_SECONDS must be a number, not 'soon'. (denoise_relay.E001)"
    )
    settings.DENOISE_RELAY = {"BACKEND": "local"}
    assert found(configuration) == [
        (Level.OK, "The system checks pass. Backend local, worker embedded.")
    ]


@pytest.mark.parametrize(
    ("soft", "level"), [(100, Level.FAIL), (1024, Level.WARN), (65536, Level.OK), (-1, Level.OK)]
)
def test_open_files(soft: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (soft, 65536))
    assert [said for said, _text in found(limits)] == [level]


@committed
def test_database_that_is_well() -> None:
    said = found(database)
    assert {level for level, _text in said} == {Level.OK}
    assert "All migrations are applied." in [text for _level, text in said]


@committed
def test_missing_migration() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("denoise_relay", "0001_initial")
    try:
        bad = worst(database)
    finally:
        recorder.record_applied("denoise_relay", "0001_initial")
    assert bad.level is Level.FAIL
    assert "denoise_relay.0001_initial" in bad.text
    assert "migrate" in bad.remedy


@committed
@pytest.mark.postgres
@pytest.mark.parametrize(("seconds", "level"), [(5, Level.WARN), (-60, Level.FAIL)])
def test_clock_that_is_off(seconds: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    class Off:
        """`django.utils.timezone`, on a machine with another idea of the time."""

        @staticmethod
        def now() -> Any:
            return timezone.now() - timedelta(seconds=seconds)

    monkeypatch.setattr(doctor_database, "timezone", Off)
    bad = worst(database)
    assert bad.level is level
    assert f"{abs(seconds)}.0" in bad.text
    assert ("ahead of ours" if seconds > 0 else "behind ours") in bad.text


@committed
@pytest.mark.sqlite
def test_several_processes_on_sqlite() -> None:
    later = timezone.now() + timedelta(minutes=1)
    for owner in ("one", "two"):
        make_job(lease_owner=owner, lease_until=later)
    bad = worst(database)
    assert bad.level is Level.WARN
    assert bad.text == "2 processes run jobs on one SQLite file: one, two."


def test_layer_in_memory(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"WORKER": "embedded"}
    assert [level for level, _text in found(layer)] == [Level.OK]
    settings.DENOISE_RELAY = {"WORKER": "external"}
    assert worst(layer).level is Level.FAIL


def test_layer_whose_server_is_away(settings: Settings, unused_tcp_port: int) -> None:
    from project import layers

    url = f"redis://user:hunter2@127.0.0.1:{unused_tcp_port}/0"
    settings.CHANNEL_LAYERS = {"default": layers.from_url(url)}
    bad = worst(layer)
    assert bad.level is Level.FAIL
    assert f"at 127.0.0.1:{unused_tcp_port}/0?" in bad.remedy
    assert "hunter2" not in bad.text + bad.remedy


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


@committed
def test_storage_that_is_well_is_left_as_it_was(media: Path) -> None:
    stored_job()
    before = sorted(media.rglob("*"))
    assert {level for level, _text in found(storage)} == {Level.OK}
    assert sorted(media.rglob("*")) == before


class ReadOnly(FileSystemStorage):
    """Root may write anywhere, so the refusal is played."""

    def _save(self, name: str, content: Any) -> str:
        raise PermissionError(13, "Permission denied", name)


class Forgetful(FileSystemStorage):
    def delete(self, name: str) -> None:
        """Say nothing, do nothing."""


@committed
@pytest.mark.parametrize(
    ("kind", "level", "words"),
    [
        (ReadOnly, Level.FAIL, "A file cannot be written to"),
        (Forgetful, Level.WARN, "did not delete a file"),
    ],
)
def test_storage_without_rights(
    kind: type[FileSystemStorage],
    level: Level,
    words: str,
    tmp_path: Path,
    settings: Settings,
) -> None:
    own = {
        "BACKEND": f"{kind.__module__}.{kind.__qualname__}",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "denoise_relay": own}
    bad = worst(storage)
    assert bad.level is level
    assert words in bad.text


@committed
@pytest.mark.parametrize(("uploads", "level"), [(0.5, Level.FAIL), (5, Level.WARN)])
def test_disk_that_is_nearly_full(
    uploads: float, level: Level, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = int(uploads * 200 * 1024 * 1024)

    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage)
    said = found(storage)
    assert [said for said, text in said if "GiB free" in text] == [level, level]


@committed
def test_recordings_that_are_not_there(media: Path) -> None:
    job = stored_job()
    Path(job.original.path).unlink()
    assert worst(storage).text == "1 of the 1 newest recordings are not in the storage."


def old_job(**columns: Any) -> Job:
    job = make_job(**columns)
    Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    return job


@committed
def test_work_that_nobody_does(settings: Settings) -> None:
    assert [level for level, _text in found(work)] == [Level.OK]
    make_job()
    assert [level for level, _text in found(work)] == [Level.OK], "it may be claimed any moment"
    old_job()
    bad = worst(work)
    assert bad.level is Level.FAIL
    assert bad.text.startswith("1 jobs wait, the oldest since ")
    assert "denoise_worker" in bad.remedy
    settings.DENOISE_RELAY = {"WORKER": "embedded"}
    assert "Start the server" in worst(work).remedy


@committed
def test_lease_that_ran_out_and_nobody_took() -> None:
    past = timezone.now() - timedelta(minutes=2)
    make_job(status=Status.PROCESSING, lease_owner="dead", lease_until=past)
    assert worst(work).level is Level.FAIL


@committed
def test_workers_that_are_full() -> None:
    make_job(lease_owner="busy", lease_until=timezone.now() + timedelta(seconds=9))
    assert found(work) == [(Level.OK, "1 processes run 1 jobs: busy.")]
    old_job()
    bad = worst(work)
    assert bad.level is Level.WARN
    assert bad.text.endswith("1 processes are busy with 1.")


@committed
def test_jobs_that_fail() -> None:
    for _ in range(4):
        end(make_job(), FAILED)
    assert [level for level, _text in found(work)] == [Level.OK], "too few to tell"
    end(make_job())
    bad = worst(work)
    assert bad.level is Level.WARN
    assert bad.text == "4 of 5 jobs of the last hour failed, the latest with: No audio"


# --- The command -------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    code = 0
    try:
        call_command("denoise_doctor", *arguments, stdout=out, no_color=True)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, out.getvalue()


@committed
def test_command_says_it_for_people_and_for_programs(settings: Settings, media: Path) -> None:
    settings.DENOISE_RELAY = {"BACKEND": "local"}
    code, said = run()
    assert code == 0, said
    assert {line.split()[0] for line in said.splitlines()[:-1]} == {"OK"}, said
    assert said.splitlines()[-1] == "Everything is as it should be."
    code, said = run("--json")
    report = json.loads(said)
    assert code == 0
    assert report["ok"] is True
    assert [finding["subject"] for finding in report["findings"]] == sorted(
        (finding["subject"] for finding in report["findings"]),
        key=[diagnosis.subject for diagnosis in DIAGNOSES].index,
    )


@committed
def test_command_fails_when_something_does(settings: Settings, media: Path) -> None:
    settings.DENOISE_RELAY = {"BACKEND": "local", "UPSTREAM_URL": "gopher://x"}
    code, said = run()
    assert code == 1
    assert "FAIL  configuration: DENOISE_RELAY: UPSTREAM_URL must be an http" in said
    assert "1 to mend, 0 to look at." in said
    code, said = run("--json")
    assert code == 1
    assert json.loads(said)["ok"] is False
