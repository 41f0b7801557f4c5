"""`denoise_prune [--days N] [--dry-run]`: delete old jobs, their files, and orphaned files."""

from __future__ import annotations

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from denoise_relay.conf import relay_settings
from denoise_relay.jobs import retention
from denoise_relay.jobs.retention import Tally
from denoise_relay.uploads import spool

PROGRESS_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Deletes ended jobs older than RETENTION_DAYS with their events and files, and files "
        "that no job names any more. Active jobs are never touched; workers may run meanwhile."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=_days, metavar="N", help="instead of RETENTION_DAYS; at least 1"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args: Any, **options: Any) -> None:
        days: int = options["days"] or relay_settings().RETENTION_DAYS
        dry_run: bool = options["dry_run"]
        tally = Tally()
        printed_at = time.monotonic()

        def progress(so_far: Tally) -> None:
            nonlocal printed_at
            if time.monotonic() - printed_at >= PROGRESS_SECONDS:
                printed_at = time.monotonic()
                self.stdout.write(f"… {_words(so_far)}")

        if days:
            retention.prune_jobs(tally, days=days, dry_run=dry_run, progress=progress)
        else:
            self.stdout.write(
                "Jobs are kept for ever: RETENTION_DAYS is 0 and no --days was given."
            )
        if not retention.prune_orphans(tally, dry_run=dry_run, progress=progress):
            self.stdout.write("This storage cannot list its files: orphans were not looked for.")
        self.stdout.write(f"{'Would delete' if dry_run else 'Deleted'} {_words(tally)}.")
        if not dry_run and (expired := spool.expire()):
            self.stdout.write(f"Deleted {expired} files of expired uploads.")
        if shared := tally["shared"]:
            self.stdout.write(f"Kept {shared} files that retries still use.")
        if failed := tally["failed"]:
            self.stderr.write(f"{failed} files could not be deleted (see the log); run this again.")


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if days < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of days from 1")
    return days


def _words(tally: Tally) -> str:
    return (
        f"{tally['jobs']} jobs with {tally['events']} events and {tally['files']} files, "
        f"{tally['orphans']} orphaned files"
    )
