"""Running the diagnoses, and the command that does it."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from denoise_relay.doctor.diagnoses import DIAGNOSES, configuration, limits
from denoise_relay.doctor.run import Diagnosis, Finding, Level, examine, fail, in_thread, ok
from tests.db.doctor.examining import committed, found


def examined(*diagnoses: Diagnosis) -> list[tuple[str, Finding]]:
    async def all_of_it() -> list[tuple[str, Finding]]:
        return [pair async for pair in examine(diagnoses)]

    return asyncio.run(all_of_it())


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
