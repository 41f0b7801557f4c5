"""What needs no connection: system checks and limits of the process."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from django.core.checks import ERROR, WARNING, run_checks

from denoise_relay.conf import relay_settings
from denoise_relay.doctor.findings import Finding, fail, ok, warn

FEW_FILES, ENOUGH_FILES = 256, 4096


async def configuration() -> Sequence[Finding]:
    """The app's own system checks."""
    messages = run_checks(tags=["denoise_relay"])
    findings: list[Finding] = []
    for message in messages:
        text = f"{message.msg} ({message.id})"
        hint = message.hint or ""
        if message.level >= ERROR:
            findings.append(fail(text, hint))
        elif message.level >= WARNING:
            findings.append(warn(text, hint))
    if findings:
        return findings
    relay = relay_settings()
    return [ok(f"The system checks pass. Backend {relay.BACKEND}, worker {relay.WORKER}.")]


async def limits() -> Sequence[Finding]:
    """Open files: one for each socket and each upstream stream, and some more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH_FILES:
        return [ok(f"A process here may open {soft} files.")]
    text = f"A process may open {soft} files (at most {hard}); each viewer needs one."
    remedy = "Raise it: `LimitNOFILE=65536` in the systemd unit, or `ulimit -n 65536`."
    return [(fail if soft < FEW_FILES else warn)(text, remedy)]
