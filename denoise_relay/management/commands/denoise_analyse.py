"""`denoise_analyse [--all]`: make up for the analyses that finished jobs do not have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from denoise_relay import engine
from denoise_relay.conf import relay_settings
from denoise_relay.jobs import analyses
from denoise_relay.lifecycle import Status
from denoise_relay.media import storage
from denoise_relay.models import Job, current_jobs
from denoise_relay.worker.analysis import analyse
from denoise_relay.worker.workspace import new_folder

#: Exit code of a command that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Analyses the recordings of finished jobs for the player, newest first: those that have no "
        "analysis yet. May be interrupted, and goes on where it was; workers may run meanwhile. "
        "Exits with 1 if any recording could not be analysed."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="also those that have one, which is replaced"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not engine.available():
            raise CommandError('The engine is not installed: pip install "denoise-relay[local]"')
        jobs = list(_jobs(everything=options["all"]).values_list("pk", flat=True))
        failed = 0
        for number, pk in enumerate(jobs, start=1):
            try:
                said = self._analysed(pk)
            except KeyboardInterrupt as error:
                text = f"Interrupted after {number - 1} of {len(jobs)}."
                raise CommandError(text, returncode=INTERRUPTED) from error
            except Exception as error:  # noqa: BLE001 - go on with the others, whatever it is
                failed += 1
                said = f"failed: {getattr(error, 'detail', '') or error!r}"
            self.stdout.write(f"{number}/{len(jobs)} {pk} {said}")
        if failed:
            raise CommandError(f"{failed} of {len(jobs)} could not be analysed.")
        self.stdout.write(f"{len(jobs)} jobs were analysed.")

    def _analysed(self, pk: UUID) -> str:
        """Analyse one job; return what there is to say."""
        job = current_jobs().filter(pk=pk).first()
        if job is None:
            return "has been deleted"
        with new_folder(relay_settings()) as workspace:
            folder = Path(workspace)
            before = storage.local_copy(job, folder)
            name = job.result.name or ""
            after = storage.local_file(name, folder / f"result.{name.rpartition('.')[2]}")
            found = asyncio.run(analyse(job, before, after, folder / "analysis"))
            stored = analyses.store(job, found, folder / "analysis")
            analyses.discard(analyses.write(job.pk, None, stored))
        return "analysed"


def _jobs(*, everything: bool) -> QuerySet[Job]:
    """The jobs to analyse: those whose result is stored here."""
    jobs = current_jobs().filter(status=Status.DONE).exclude(result="")
    return jobs if everything else jobs.filter(statistics__isnull=True)
