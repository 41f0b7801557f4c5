"""`denoise_doctor [--json]`: says what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from denoise_relay.doctor.diagnoses import DIAGNOSES
from denoise_relay.doctor.run import Finding, Level, examine


class Command(BaseCommand):
    help = (
        "Talks to the database, the channel layer, the storage and the backend, and says for "
        "each what is wrong and how to mend it. The exit code is 1 if anything fails."
    )
    # What is wrong with the configuration is a finding, not a reason not to start.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = asyncio.run(self._examine(quiet=options["json"]))
        failed = any(finding.level is Level.FAIL for _subject, finding in findings)
        if options["json"]:
            self.stdout.write(json.dumps(_report(findings, ok=not failed), indent=2))
        else:
            self.stdout.write(_summary(findings))
        if failed:
            sys.exit(1)

    async def _examine(self, *, quiet: bool) -> list[tuple[str, Finding]]:
        findings = []
        async for subject, finding in examine(DIAGNOSES):
            findings.append((subject, finding))
            if not quiet:
                self._say(subject, finding)
        return findings

    def _say(self, subject: str, finding: Finding) -> None:
        style = {
            Level.OK: self.style.SUCCESS,
            Level.WARN: self.style.WARNING,
            Level.FAIL: self.style.ERROR,
        }[finding.level]
        level = style(f"{finding.level:4}")
        self.stdout.write(f"{level}  {subject}: {finding.text}")
        if finding.remedy:
            self.stdout.write(f"      → {finding.remedy}")
        self.stdout.flush()


def _report(findings: list[tuple[str, Finding]], *, ok: bool) -> dict[str, Any]:
    return {
        "ok": ok,
        "findings": [
            {
                "subject": subject,
                "level": finding.level.value,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for subject, finding in findings
        ],
    }


def _summary(findings: list[tuple[str, Finding]]) -> str:
    levels = [finding.level for _subject, finding in findings]
    bad, odd = levels.count(Level.FAIL), levels.count(Level.WARN)
    if not bad and not odd:
        return "Everything is as it should be."
    return f"{bad} to mend, {odd} to look at."
