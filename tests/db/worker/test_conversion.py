"""What a backend does not take as it is becomes FLAC: once, before it is submitted."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from denoise_relay import engine
from denoise_relay.backends.base import Limits, Media, Result, Run
from denoise_relay.backends.upstream.accepted import contract_extension
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import actions, deletion
from denoise_relay.models import Job, media_storage
from denoise_relay.runtime import database
from tests import corpus
from tests.db.checks import checked_events
from tests.db.factories import make_job
from tests.db.scripted_backends import Scripted, finish
from tests.db.worker.working import QUICK, ended, fresh, stored, working
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


class ContractBackend(Scripted):
    """Takes the contract's list, and notes what it gets."""

    def __init__(self, settings: RelaySettings = QUICK, behaviour: Any = finish) -> None:
        super().__init__(settings, behaviour)
        self.got: list[tuple[str, bytes, int]] = []

    def taken_as(self, media: Media) -> str | None:
        return contract_extension(media)

    async def run(self, run: Run) -> Result:
        facts = run.assignment
        content = await asyncio.to_thread(facts.source.read_bytes)
        self.got.append((facts.extension, content, facts.size_bytes))
        return await super().run(run)


async def submitted(name: str, **more: Any) -> Job:
    return await actions.asubmit(ContentFile(corpus.content(name), name), **more)


async def done_by(backend: ContractBackend, job: Job) -> Job:
    async with working(backend):
        (found,) = await ended(job)
    assert found.status == "done", (found.message, found.error_detail)
    return found


async def test_it_is_converted_stored_and_sent() -> None:
    backend, job = ContractBackend(), await submitted("old.amr")
    found = await done_by(backend, job)
    ((extension, sent, size),) = backend.got
    assert (extension, sent[:4], size) == ("flac", b"fLaC", len(sent))
    with media_storage().open(found.sent.name or "") as file:
        assert file.read() == sent
    told = await database.call(checked_events, job.pk)
    assert any(event.message.startswith("Converting the recording") for event in told)
    assert (found.file_name, found.size_bytes) == ("old.amr", job.size_bytes)


async def test_what_is_taken_is_sent_as_it_is_by_a_name_that_fits() -> None:
    backend, job = ContractBackend(), await submitted("voice-note.opus")
    found = await done_by(backend, job)
    content = corpus.content("voice-note.opus")
    assert backend.got == [("ogg", content, len(content))]
    assert not found.sent


async def test_a_backend_that_takes_anything_gets_the_recording() -> None:
    job = await submitted("old.amr")
    backend = Scripted(QUICK)
    async with working(backend):
        (found,) = await ended(job)
    assert (found.status, found.sent.name) == ("done", "")


async def test_a_retry_sends_the_same_bytes() -> None:
    backend, job = ContractBackend(), await submitted("sun.au")
    found = await done_by(backend, job)
    again = await done_by(backend, await actions.aretry(found))
    assert again.sent == found.sent
    assert len({sent for _extension, sent, _size in backend.got}) == 1
    told = await database.call(checked_events, again.pk)
    assert not any(event.message.startswith("Converting") for event in told)
    # The file goes with the last job that names it.
    await deletion.adelete(found)
    assert await database.call(media_storage().exists, again.sent.name)
    await deletion.adelete(again)
    assert not await database.call(media_storage().exists, again.sent.name)


async def test_a_retry_whose_copy_was_deleted_makes_another() -> None:
    backend, job = ContractBackend(), await submitted("sun.au")
    found = await done_by(backend, job)
    await database.call(media_storage().delete, found.sent.name)
    again = await done_by(backend, await actions.aretry(found))
    assert again.sent != found.sent
    assert backend.got[0] == backend.got[1]


async def test_a_later_runner_sends_what_the_first_made() -> None:
    job = await submitted("sony.w64")
    first = ContractBackend(behaviour=_hang_after_submitting)
    async with working(first):
        await eventually(lambda: first.got, within=20)

        async def begun() -> bool:
            return (await fresh(job)).attempt == 1

        await eventually(begun, within=20)
    second = ContractBackend()
    await done_by(second, job)
    assert second.got == first.got


async def _hang_after_submitting(run: Run) -> Result:
    await run.submitting()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def test_what_was_submitted_before_is_not_converted() -> None:
    """By a version that sent everything as it was: its history has the file under that form."""
    job = await submitted("old.amr")
    await database.call(lambda: Job.objects.filter(pk=job.pk).update(attempt=1))
    backend = ContractBackend()
    found = await done_by(backend, job)
    content = corpus.content("old.amr")
    assert backend.got == [("amr", content, len(content))]
    assert not found.sent


@pytest.mark.parametrize(("name", "extension"), [("old.amr", "flac"), ("memo.m4a", "m4a")])
async def test_a_row_that_does_not_know_its_content_is_looked_at(name: str, extension: str) -> None:
    job = await database.call(make_job, file_name=name)
    await database.call(job.original.save, name, ContentFile(corpus.content(name)))
    backend = ContractBackend()
    await done_by(backend, job)
    assert backend.got[0][0] == extension


async def test_what_cannot_be_read_is_sent_as_it_is() -> None:
    """A row of an earlier version, or of a site without the engine: the upstream knows better."""
    job = await database.call(make_job, file_name="voice.wav")
    await database.call(job.original.save, "voice.wav", ContentFile(b"RIFF"))
    backend = ContractBackend()
    await done_by(backend, job)
    assert backend.got == [("wav", b"RIFF", 4)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (engine.MediaRejected("unsupported"), "error"),
        (engine.EngineCrashed("SIGSEGV"), "error"),
        (engine.EngineUnavailable("av"), "done"),
    ],
)
async def test_a_conversion_that_fails(
    error: Exception, status: str, monkeypatch: pytest.MonkeyPatch, media: Path
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    job = await submitted("old.amr")
    monkeypatch.setattr(engine, "convert", fail)
    backend = ContractBackend()
    async with working(backend):
        (found,) = await ended(job)
    assert found.status == status
    assert "SIGSEGV" not in found.message
    assert len(stored(media)) == (2 if status == "done" else 1)


async def test_a_cancel_while_it_is_converted_leaves_no_copy(
    monkeypatch: pytest.MonkeyPatch, media: Path
) -> None:
    job = await submitted("old.amr")
    convert = engine.convert

    async def convert_too_late(source: Path, target: Path, **more: Any) -> float:
        await actions.acancel(job)
        return await convert(source, target, **more)

    monkeypatch.setattr(engine, "convert", convert_too_late)
    backend = ContractBackend()
    async with working(backend):
        await ended(job)
        await eventually(lambda: len(stored(media)) == 1, within=20)
    assert backend.got == []


async def test_what_is_cut_into_parts_is_not_converted_before() -> None:
    job = await submitted("old.amr")
    await database.call(lambda: Job.objects.filter(pk=job.pk).update(duration_seconds=60.0))

    async def whole(run: Run) -> Result:
        target = run.assignment.workspace / "result.flac"
        await asyncio.to_thread(shutil.copyfile, run.assignment.source, target)
        await run.accepted("theirs")
        return Result(file=target)

    class Short(ContractBackend):
        @property
        def limits(self) -> Limits:
            from denoise_relay.backends.base import Limits

            return Limits(seconds=30.0)

    backend = Short(replace(QUICK), whole)
    async with working(backend):
        (found,) = await ended(job)
    assert found.status == "done", found.error_detail
    assert not found.sent
    assert {extension for extension, _sent, _size in backend.got} == {"flac"}
