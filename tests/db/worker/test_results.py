"""Results that the storage does not take at once."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from denoise_relay.backends.base import Result, Run
from denoise_relay.media import storage
from denoise_relay.models import Job
from tests.db.scripted_backends import write_result
from tests.db.worker.working import run_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


class RemoteError(Exception):
    """A remote storage's own, as its client raises it."""


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left"), RemoteError("503")])
async def test_a_storage_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    faults = [fault] * 3
    save = FileSystemStorage._save

    def failing(self: FileSystemStorage, name: str, content: object) -> str:
        if faults and Path(name).suffix == ".flac":
            raise faults.pop()
        return save(self, name, content)  # type: ignore[arg-type]

    monkeypatch.setattr(FileSystemStorage, "_save", failing)
    job = await run_one(_finish)
    assert faults == []
    assert (job.status, Path(job.result.path).read_bytes()) == ("done", b"clean")


async def test_a_storage_that_fails_for_good_ends_the_job_at_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_space(_job: Job, _file: Path) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "store_result", no_space)
    job = await run_one(_finish, JOB_DEADLINE_SECONDS=1.0)
    assert (job.status, job.message) == ("error", "The result could not be stored.")
    assert "No space left" in job.error_detail


async def _finish(run: Run) -> Result:
    return write_result(run)
