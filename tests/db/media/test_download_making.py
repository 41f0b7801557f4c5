"""How downloads are made: once, some at a time, and what comes between."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient

from denoise_relay import engine, presentation
from denoise_relay.jobs import deletion
from denoise_relay.media import download_views, rendering
from denoise_relay.media.rendering import renderer
from denoise_relay.models import DerivedFile, Job, media_storage
from tests.db.analyses import add_file
from tests.db.factories import finish, stored_job
from tests.db.requests import Response, afetch
from tests.unit.engine import material
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
HTML = {"accept": "text/html"}


class Gate:
    """Stands for `engine.render`: waits, and then writes something, or raises."""

    def __init__(self) -> None:
        self.begun: list[Path] = []
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(
        self, before: Path, after: Path, target: Path, **options: Any
    ) -> engine.Rendering:
        self.begun.append(target)
        await self.go_on.wait()
        if self.error:
            raise self.error
        target.write_bytes(f"{after.read_bytes()!r} {options['mix']}".encode())
        return engine.Rendering(duration_seconds=1.0, gain_db=0.0)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    found = Gate()
    monkeypatch.setattr(engine, "render", found)
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_views, "WAIT_SECONDS", 0.05)


async def get(job: Job, client: AsyncClient, query: str, **headers: str) -> Response:
    path = f"{presentation.links_of(job).render}{query}"
    return await afetch(path, client=client, headers=headers)


def _files(media: Path) -> list[str]:
    """The names of all stored files, and of what is left in workspaces."""
    return sorted(path.name for path in media.rglob("*") if path.is_file())


async def _rows() -> list[DerivedFile]:
    return [row async for row in DerivedFile.objects.all()]


@pytest.mark.parametrize(("format", "video"), [("mp3", False), ("wav", False), ("mp4", True)])
async def test_a_real_one(
    format: str, video: bool, owner: User, client: AsyncClient, tmp_path: Path
) -> None:
    voice = material.speech(44_100)
    source = material.make(tmp_path, "a.mp4" if video else "s16.wav", voice)
    clean = material.make(tmp_path, "a.flac", voice)

    def make() -> Job:
        name = f"talk.{source.suffix[1:]}"
        return finish(
            stored_job(source.read_bytes(), owner=owner, file_name=name, is_video=video),
            clean.read_bytes(),
        )

    job = await sync_to_async(make)()

    answer = await get(job, client, f"?format={format}&mix=0.8")

    assert answer.status == 200
    name = f"talk-denoised-80.{format}"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    made = tmp_path / f"made.{format}"
    made.write_bytes(answer.body)
    probe = await engine.probe(made)
    assert (probe.duration_seconds, probe.has_video) == (pytest.approx(4.0, abs=0.1), video)
    (row,) = await _rows()
    assert row.kind == f"{format}-0.80"
    again = await get(job, client, f"?format={format}&mix=0.79")
    assert again.body == answer.body


async def test_one_is_made_for_all_who_want_it(
    gate: Gate, job: Job, client: AsyncClient, media: Path
) -> None:
    wanted = [asyncio.create_task(get(job, client, "?format=mp3")) for _ in range(5)]
    await eventually(lambda: gate.begun)
    gate.go_on.set()
    answers = await asyncio.gather(*wanted)

    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {answers[0].body}
    assert len(gate.begun) == 1
    assert len(await _rows()) == 1
    assert len(_files(media)) == 3


@pytest.mark.usefixtures("impatient")
async def test_a_browser_waits_on_a_page_and_a_program_comes_again(
    gate: Gate, job: Job, client: AsyncClient
) -> None:
    page = await get(job, client, "?format=mp3", **HTML)
    answer = await get(job, client, "?format=mp3")

    assert (page.status, page["Refresh"], page["Cache-Control"]) == (202, "3", "no-store")
    assert page["Content-Type"].startswith("text/html")
    assert "Preparing…" in page.body.decode()
    assert (answer.status, answer["Retry-After"]) == (503, "5")
    assert answer.json()["error"] == "preparing"
    assert page["Vary"].count("Accept") >= 1

    gate.go_on.set()
    await eventually(_rows)
    assert (await get(job, client, "?format=mp3", **HTML)).status == 200
    assert len(gate.begun) == 1


@pytest.mark.usefixtures("impatient")
async def test_some_are_made_at_a_time_and_no_more_wait(
    gate: Gate, job: Job, client: AsyncClient
) -> None:
    statuses = []
    for percent in range(0, 50, 5):
        statuses.append(
            (await get(job, client, f"?format=mp3&mix={percent / 100}")).json()["error"]
        )

    assert statuses == ["preparing"] * 8 + ["busy"] * 2
    assert len(gate.begun) == rendering.AT_ONCE
    gate.go_on.set()
    await eventually(lambda: len(gate.begun) == 8)
    await eventually(lambda: _count(8))


async def _count(number: int) -> bool:
    return len(await _rows()) == number


async def test_another_process_was_first(
    gate: Gate, job: Job, client: AsyncClient, media: Path
) -> None:
    wanted = asyncio.create_task(get(job, client, "?format=mp3"))
    await eventually(lambda: gate.begun)
    await sync_to_async(add_file)(job, "mp3-1.00", b"theirs", "mp3")
    gate.go_on.set()

    assert (await wanted).body == b"theirs"
    assert len(_files(media)) == 3  # ours is gone


async def test_deleted_meanwhile(gate: Gate, job: Job, client: AsyncClient, media: Path) -> None:
    wanted = asyncio.create_task(get(job, client, "?format=mp3"))
    await eventually(lambda: gate.begun)
    await deletion.adelete(job)
    gate.error = FileNotFoundError("gone")
    gate.go_on.set()

    assert (await wanted).status == 404
    assert _files(media) == []


async def test_deleted_when_it_is_stored(
    gate: Gate, job: Job, client: AsyncClient, media: Path
) -> None:
    wanted = asyncio.create_task(get(job, client, "?format=mp3"))
    await eventually(lambda: gate.begun)
    await Job.objects.filter(pk=job.pk).aupdate(status="canceled")
    gate.go_on.set()

    assert (await wanted).status == 404
    assert await _rows() == []
    assert len(_files(media)) == 2


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (engine.MediaRejected("no_video"), 400, "no pictures"),
        (engine.EngineCrashed("secret"), 500, "Try again"),
        (OSError("secret"), 500, "Try again"),
    ],
)
async def test_a_failure_is_said_once_made_and_not_tried_at_each_reload(
    error: Exception, status: int, says: str, gate: Gate, job: Job, client: AsyncClient, media: Path
) -> None:
    gate.error = error
    gate.go_on.set()
    answers = [await get(job, client, "?format=mp3") for _ in range(3)]

    assert [answer.status for answer in answers] == [status] * 3
    assert says in answers[0].json()["message"]
    assert b"secret" not in answers[0].body
    assert len(gate.begun) == 1
    assert len(_files(media)) == 2


async def test_whoever_leaves_does_not_end_it(gate: Gate, job: Job, client: AsyncClient) -> None:
    wanted = asyncio.create_task(get(job, client, "?format=mp3"))
    await eventually(lambda: gate.begun)
    wanted.cancel()
    await asyncio.wait({wanted})
    gate.go_on.set()
    await eventually(_rows)


@pytest.mark.usefixtures("impatient")
async def test_the_servers_stop_ends_it(
    gate: Gate, job: Job, client: AsyncClient, media: Path
) -> None:
    assert (await get(job, client, "?format=mp3")).status == 503
    await renderer().stop()
    await renderer().stop()

    assert await _rows() == []
    assert len(_files(media)) == 2
    assert not [path for path in media.rglob("run-*") if path.is_dir()]


async def test_a_full_disk_is_not_filled_up(
    gate: Gate, job: Job, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, size_bytes: int = 0) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("denoise_relay.runtime.disk.require_room", full)
    assert (await get(job, client, "?format=mp3")).status == 500
    assert gate.begun == []


async def test_a_stored_file_that_is_gone(gate: Gate, job: Job, client: AsyncClient) -> None:
    """Somebody deleted the recording from the storage."""
    await sync_to_async(media_storage().delete)(job.original.name)
    gate.go_on.set()
    gate.error = FileNotFoundError("gone")
    assert (await get(job, client, "?format=mp3")).status == 404
