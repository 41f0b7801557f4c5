"""Jobs in the foreground: submit files, follow the jobs to their end, fetch the results.

The rows of the jobs are polled, so any process may run them.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.files import File

from denoise_relay import backends, presentation
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import actions
from denoise_relay.lifecycle import Status
from denoise_relay.management.progress_bar import Progress, ProgressBar
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.runtime.executor import enlarge_default_executor
from denoise_relay.worker.supervisor import Supervisor

POLL_SECONDS = 0.2
CANCEL_SECONDS = 5.0


@dataclass(kw_only=True, slots=True)
class Task:
    """One file and its outcome."""

    source: Path
    job_id: UUID | None = None
    progress: Progress = field(init=False)
    #: Where the result was written to, or its URL where results stay upstream.
    output: str = ""
    #: Why there is no result.
    problem: str = ""

    def __post_init__(self) -> None:
        self.progress = Progress(name=self.source.name, pct=0.0, message="")

    @property
    def ended(self) -> bool:
        return bool(self.output or self.problem)


#: Where the result of (source, job) goes.
Target = Callable[[Path, Job], Path]
#: `actions.asubmit`, perhaps with choices.
Submit = Callable[["File[bytes]"], Coroutine[Any, Any, Job]]


async def run(
    sources: Sequence[Path],
    target: Target,
    settings: RelaySettings,
    progress_bar: ProgressBar,
    submit: Submit = actions.asubmit,
) -> list[Task]:
    """Run all files to their ends. When cancelled, cancels the jobs that have not ended."""
    enlarge_default_executor()
    tasks = [Task(source=source) for source in sources]
    async with _worker(settings):
        try:
            for task in tasks:
                await _submit(task, submit)
            await _follow(tasks, target, progress_bar)
        except asyncio.CancelledError:
            await _cancel(tasks)
            raise
    return tasks


@contextlib.asynccontextmanager
async def _worker(settings: RelaySettings) -> AsyncIterator[None]:
    """Run a supervisor in this process, unless external workers run the jobs."""
    if settings.WORKER != "embedded":
        yield
        return
    supervisor = Supervisor(backends.load(settings), settings)
    await supervisor.start()
    try:
        yield
    finally:
        await supervisor.stop()


async def _submit(task: Task, submit: Submit) -> None:
    try:
        with task.source.open("rb") as content:
            submission = asyncio.create_task(
                submit(File(content, name=task.source.name)), name="denoise-submit"
            )
            try:
                job = await asyncio.shield(submission)
            except asyncio.CancelledError:
                # A thread may be storing the job now; that job must be canceled, too.
                await asyncio.wait({submission}, timeout=CANCEL_SECONDS)
                if submission.done() and submission.exception() is None:
                    task.job_id = submission.result().pk
                submission.cancel()
                raise
    except (UploadRejected, OSError) as error:
        task.problem = str(error)
        return
    task.job_id = job.pk


async def _follow(tasks: Sequence[Task], target: Target, progress_bar: ProgressBar) -> None:
    while True:
        waiting = {task.job_id: task for task in tasks if task.job_id and not task.ended}
        rows = await database.call(_rows, list(waiting))
        for job_id, task in waiting.items():
            job = rows.get(job_id)
            if job is None:
                task.problem = "The job was deleted."
            else:
                await _update(task, job, target)
        shown = [task for task in tasks if task.job_id]
        progress_bar.show({str(task.job_id): task.progress for task in shown})
        if all(task.ended for task in tasks):
            return
        await asyncio.sleep(POLL_SECONDS)


def _rows(job_ids: list[UUID]) -> dict[UUID, Job]:
    return {job.pk: job for job in Job.objects.filter(pk__in=job_ids)}


async def _update(task: Task, job: Job, target: Target) -> None:
    task.progress = Progress(name=job.file_name, pct=job.pct, message=job.message, ended=job.ended)
    if job.status == Status.DONE:
        try:
            task.output = await asyncio.to_thread(_fetch, task.source, job, target)
        except OSError as error:
            task.problem = f"The result could not be written: {error}"
    elif job.ended:
        task.problem = job.message or "The job failed."


def _fetch(source: Path, job: Job, target: Target) -> str:
    """Copy the result out of the storage, to a file that appears complete or not at all."""
    if not job.result:
        if not job.result_url:
            raise FileNotFoundError("it is neither here nor upstream")
        return job.result_url
    path = target(source, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".denoise-", delete=False) as draft:
        try:
            with job.result.open("rb") as content:
                shutil.copyfileobj(content, draft, 1024 * 1024)
            # A temporary file is private to its owner; a result is an ordinary file.
            Path(draft.name).chmod(0o644)
            Path(draft.name).replace(path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return str(path)


async def _cancel(tasks: Sequence[Task]) -> None:
    """Cancel the jobs that are left, within a time limit: a person has pressed Ctrl-C."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS):
            for task in tasks:
                if task.job_id and not task.ended:
                    await actions.acancel(Job(pk=task.job_id))


def beside(source: Path, job: Job) -> Path:
    """The default target: in the folder of the source."""
    return source.with_name(presentation.denoised_name(job))
