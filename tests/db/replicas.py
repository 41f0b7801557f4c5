"""A database with a replica, as sites have it."""

from __future__ import annotations

from typing import Any

from django.db import models

from denoise_relay.models import Event, Job

#: The database that is written to.
PRIMARY = "default"


class Replicated:
    """A router for a database with a replica, which lags by no bound. There is none here: whoever
    asks it for a job or an event fails, where they would act on an older state."""

    def db_for_read(self, model: type[models.Model], **_: Any) -> str | None:
        return "replica" if model in (Job, Event) else None

    def db_for_write(self, model: type[models.Model], **_: Any) -> str:
        return PRIMARY
