"""How long a worker takes until it has begun all the jobs that wait for it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench import large_database as large
from bench.process import manage, serving
from bench.startup.idle_backend import BEGUN_VARIABLE

SECONDS = 90.0


def prepare(url: str, media: Path, unfinished: int) -> None:
    """Let the newest `unfinished` jobs wait, as if no worker had seen them; end the others."""
    folder = media / "denoise/none"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(large.JOBS - large.UNFINISHED, large.JOBS + 1):
        (folder / f"{number}.wav").write_bytes(b"")
    code = f"""
from django.db.models import F
from denoise_relay.models import Event, Job
waiting = Job.objects.filter(turn__gt={large.JOBS - unfinished})
waiting.update(status="queued", stage="processing", finished_at=None, started_at=None,
    lease_owner="", lease_until=None, epoch=0, pct=0.0)
Job.objects.filter(finished_at=None).exclude(pk__in=waiting).update(
    status="done", stage="done", finished_at=F("created_at"))
"""
    manage(large.ENVIRONMENT | {"DATABASE_URL": url}, "shell", "--verbosity", "0", "-c", code)


def start(url: str, media: Path, unfinished: int) -> tuple[float, float, float]:
    """Seconds from the start of a process to its first job and to the last, and its CPU seconds
    until then."""
    prepare(url, media, unfinished)
    begun = media / "begun"
    begun.unlink(missing_ok=True)
    environment = large.ENVIRONMENT | {
        "DATABASE_URL": url,
        "MEDIA_ROOT": str(media),
        "DENOISE_RELAY_BACKEND": "bench.startup.idle_backend.IdleBackend",
        "DENOISE_RELAY_WORKER": "external",
        "DENOISE_RELAY_MAX_ACTIVE_JOBS": str(large.UNFINISHED),
        BEGUN_VARIABLE: str(begun),
    }
    at = time.monotonic()
    first = 0.0
    with serving([sys.executable, "manage.py", "denoise_worker"], environment) as worker:
        while time.monotonic() - at < SECONDS:
            count = begun.stat().st_size if begun.exists() else 0
            if count and not first:
                first = time.monotonic() - at
            if count >= unfinished:
                return first, time.monotonic() - at, worker.cpu_seconds()
            time.sleep(0.01)
    raise RuntimeError(f"{count} of {unfinished} jobs were begun in {SECONDS} s")
