"""`manage.py denoise FILE… [-o OUT]`: cleans recordings from the shell."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from denoise_relay import presentation
from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import actions, options, validation
from denoise_relay.management import foreground
from denoise_relay.management.foreground import Submit, Target, Task
from denoise_relay.management.progress_bar import ProgressBar
from denoise_relay.models import Job
from denoise_relay.runtime import database, logs

#: Exit code of a command that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Denoise files with the configured backend and write the results; paths of results "
        "go to stdout, progress to stderr. Exits with 1 if any file fails. Ctrl-C cancels. "
        "With an embedded worker this process runs the jobs, and others that are queued."
    )

    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "-o",
            "--output",
            type=Path,
            metavar="OUT",
            help="file, or folder (made if missing) for several; default: beside each FILE",
        )
        parser.add_argument(
            "--preset",
            default="",
            metavar="NAME",
            help="one of the backend's presets (local: best, fast); default: PRESET",
        )
        parser.add_argument(
            "--excerpt",
            action="store_true",
            help="of a long recording, only the 30 seconds with most speech",
        )
        parser.add_argument(
            "--strength",
            default="",
            metavar="DB",
            help="lower noise by 3 to 100 dB at the most; default: remove all of it",
        )
        parser.add_argument(
            "--loudness",
            default="",
            metavar="LUFS",
            help="bring the result to a loudness of -31 to -9 LUFS, as -16 for a podcast",
        )

    def handle(
        self,
        *args: Any,
        files: list[Path],
        output: Path | None,
        preset: str,
        excerpt: bool,
        strength: str,
        loudness: str,
        verbosity: int,
        **_others: Any,
    ) -> None:
        for path in files:
            if not path.is_file():
                raise CommandError(f"There is no file {str(path)!r}.")
        target = _target(files, output)
        try:
            validation.validated_preset(preset)
            chosen = options.parsed(strength, loudness).columns()
        except UploadRejected as error:
            raise CommandError(str(error)) from error
        submit = partial(actions.asubmit, preset=preset, excerpt=excerpt, **chosen)
        level = logs.logger.level
        if verbosity < 2:
            # Log lines would be written across the bars.
            logs.logger.setLevel(logging.WARNING)
        try:
            tasks = asyncio.run(self._run(files, target, submit))
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            raise CommandError(
                "Interrupted; unfinished jobs were canceled.", returncode=INTERRUPTED
            ) from error
        finally:
            logs.logger.setLevel(level)
        self._report(tasks)

    async def _run(self, files: Sequence[Path], target: Target, submit: Submit) -> list[Task]:
        progress_bar = ProgressBar(self._draw, moves=self.stderr.isatty())
        task = asyncio.current_task()
        if task is not None:
            with contextlib.suppress(RuntimeError, ValueError):  # not in the main thread
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            settings = relay_settings()
            return await foreground.run(files, target, settings, progress_bar, submit)
        finally:
            await asyncio.to_thread(database.close)
            await sync_to_async(connections.close_all)()

    def _draw(self, text: str) -> None:
        # Not as an error, which Django would print in red.
        self.stderr.write(text, style_func=str, ending="")
        self.stderr.flush()

    def _report(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.output:
                self.stdout.write(task.output)
            else:
                self.stderr.write(f"{task.source}: {task.problem}")
        failed = sum(1 for task in tasks if task.problem)
        if failed:
            raise CommandError(f"{failed} of {len(tasks)} failed.")


def _target(files: Sequence[Path], output: Path | None) -> Target:
    """Where results go: what `-o` means for a file, a folder, or none of both."""
    if output is None:
        return foreground.beside
    if len(files) == 1 and not output.is_dir():
        return lambda _source, _job: output
    if output.exists() and not output.is_dir():
        raise CommandError(f"{str(output)!r} is a file; several results need a folder.")
    taken: set[Path] = set()

    def inside(_source: Path, job: Job) -> Path:
        name = Path(presentation.denoised_name(job))
        path, n = output / name, 1
        # Files with the same name from several folders must not replace each other.
        while path in taken:
            n += 1
            path = output / f"{name.stem}-{n}{name.suffix}"
        taken.add(path)
        return path

    return inside
