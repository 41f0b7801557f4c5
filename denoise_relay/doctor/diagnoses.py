"""All diagnoses, in the order in which one depends on another."""

from __future__ import annotations

from typing import Final

from denoise_relay.doctor import database, storage, workers
from denoise_relay.doctor.backend import backend
from denoise_relay.doctor.channel_layer import layer
from denoise_relay.doctor.configuration import configuration, limits
from denoise_relay.doctor.findings import Diagnosis

DIAGNOSES: Final = (
    Diagnosis(
        subject="configuration",
        run=configuration,
        seconds=10,
        remedy="Run `python manage.py check` and mend what it says.",
    ),
    Diagnosis(
        subject="limits", run=limits, seconds=5, remedy="This system tells no limits; skip this."
    ),
    Diagnosis(
        subject="database",
        run=database.database,
        seconds=10,
        remedy=database.REMEDY,
    ),
    Diagnosis(
        subject="channel layer",
        run=layer,
        seconds=15,
        remedy="Is the server of CHANNEL_LAYERS running, and is channels_redis installed?",
    ),
    Diagnosis(
        subject="storage",
        run=storage.storage,
        seconds=20,
        remedy=storage.REMEDY,
    ),
    Diagnosis(
        subject="backend",
        run=backend,
        seconds=60,
        remedy="Look at BACKEND, UPSTREAM_URL and API_KEY.",
    ),
    Diagnosis(
        subject="work",
        run=workers.work,
        seconds=10,
        remedy=workers.REMEDY,
    ),
)
