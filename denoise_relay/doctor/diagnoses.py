"""All diagnoses, in the order in which one depends on another."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import Final

from django.core.checks import ERROR, WARNING, run_checks

from denoise_relay.conf import relay_settings
from denoise_relay.doctor import database, storage, workers
from denoise_relay.doctor.backend import backend
from denoise_relay.doctor.channel_layer import layer
from denoise_relay.doctor.run import Diagnosis, Finding, fail, ok, warn

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


CHECK_REMEDY = "Run `python manage.py check` and mend what it says."
LAYER_REMEDY = "Is the server of CHANNEL_LAYERS running, and is channels_redis installed?"

DIAGNOSES: Final = (
    Diagnosis("configuration", configuration, 10, CHECK_REMEDY),
    Diagnosis("limits", limits, 5, "This system tells no limits; skip this."),
    Diagnosis("database", database.database, 10, database.REMEDY),
    Diagnosis("channel layer", layer, 15, LAYER_REMEDY),
    Diagnosis("storage", storage.storage, 20, storage.REMEDY),
    Diagnosis("backend", backend, 60, "Look at BACKEND, UPSTREAM_URL and API_KEY."),
    Diagnosis("work", workers.work, 10, workers.REMEDY),
)
