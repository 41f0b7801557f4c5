from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings


def notes() -> Path:
    """Has `begun <job>` and `told <job>`, in the order of the calls."""
    return Path(settings.MEDIA_ROOT) / "signals.txt"


def note(text: str) -> None:
    with notes().open("a") as file:
        file.write(f"{text}\n")


def on_end(job: Any, **_: Any) -> None:
    note(f"begun {job.pk}")
    while notes().with_name("hang").exists():
        time.sleep(0.02)
    note(f"told {job.pk}")


class ReceivingConfig(AppConfig):
    name = "tests.live.faults.receiving"

    def ready(self) -> None:
        from denoise_relay import signals

        signals.job_done.connect(on_end)
