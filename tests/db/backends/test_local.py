"""The local backend: the sample, from upload to a clean recording, and its child's end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from denoise_relay import engine
from denoise_relay.backends.local import LocalBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import actions, validation
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.worker.supervisor import Supervisor
from tests.db.checks import checked_events
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
SETTINGS = RelaySettings(BACKEND="local", MAX_ENGINES=1)


def engines() -> list[int]:
    """Process ids of our own children that run the engine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if (
            int(status[1]) == os.getpid()
            and status[0] != "Z"
            and b"denoise_relay.engine" in command
        ):
            found.append(int(folder.name))
    return found


def test_no_more_engines_than_cores_or_told() -> None:
    assert LocalBackend(SETTINGS).capacity == 1
    assert LocalBackend(RelaySettings()).capacity == (os.cpu_count() or 1)
    assert LocalBackend(RelaySettings(MAX_ENGINES=8, MAX_ACTIVE_JOBS=3)).capacity == 3


async def test_all_engines_of_a_process_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are, or as `MAX_ENGINES` says; also where one job is alone."""
    shared: list[engine.Cores | None] = []

    async def denoise(*paths: object, cores: engine.Cores | None = None, **_: object) -> None:
        shared.append(cores)

    class Assigned:
        job, workspace, source, preset = "1", Path("/"), Path("/a.wav"), ""

    class Task:
        assignment, report, preview = Assigned, None, None

        async def accepted(self, _upstream_id: str) -> None:
            pass

    monkeypatch.setattr(engine, "denoise", denoise)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for engines, cores in ((0, 4), (1, 1), (3, 3), (9, 4)):
        backend = LocalBackend(RelaySettings(MAX_ENGINES=engines))
        shared.clear()
        for _ in range(2):
            await backend.run(Task())  # type: ignore[arg-type]
        assert shared[0] is shared[1] is not None
        assert shared[0].count == cores


def test_fast_is_offered_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for installed, names in ((True, ["best", "fast"]), (False, ["best"])):
        monkeypatch.setattr(engine, "available", lambda _preset, found=installed: found)
        assert [preset.name for preset in LocalBackend.presets(SETTINGS)] == names


@pytest.mark.parametrize("preset", [preset.name for preset in LocalBackend.presets(SETTINGS)])
async def test_the_sample_from_upload_to_done(preset: str) -> None:
    supervisor = Supervisor(LocalBackend(SETTINGS), SETTINGS)
    await supervisor.start()
    try:
        job = await actions.asubmit(validation.sample(), preset=preset)

        async def ended() -> bool:
            await job.arefresh_from_db()
            return job.ended

        await eventually(ended, within=45)
    finally:
        await supervisor.stop()

    told = await database.call(checked_events, job.pk)
    assert (job.status, job.message) == ("done", "Done")
    assert (job.backend, job.preset) == ("local", preset)
    assert Path(job.result.path).read_bytes()[:4] == b"fLaC"
    assert len({event.pct for event in told}) > 3
    assert engines() == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
async def test_a_cancel_kills_the_engine() -> None:
    supervisor = Supervisor(LocalBackend(SETTINGS), SETTINGS)
    await supervisor.start()
    try:
        job = await actions.asubmit(validation.sample())
        await eventually(engines, within=20)
        await actions.acancel(job)
        await eventually(lambda: not engines(), within=1.5 + 5)
    finally:
        await supervisor.stop()

    assert (await Job.objects.aget(pk=job.pk)).status == "canceled"
    assert not (await Job.objects.aget(pk=job.pk)).result
