"""All probes, in the order in which one depends on another."""

from __future__ import annotations

from typing import Final

from denoise_relay.doctor import database, storage, workers
from denoise_relay.doctor.backend import backend
from denoise_relay.doctor.channel_layer import layer
from denoise_relay.doctor.configuration import configuration, limits
from denoise_relay.doctor.findings import Probe

PROBES: Final = (
    Probe(
        subject="configuration",
        look=configuration,
        seconds=10,
        remedy="Run `python manage.py check` and mend what it says.",
    ),
    Probe(
        subject="limits", look=limits, seconds=5, remedy="This system tells no limits; skip this."
    ),
    Probe(
        subject="database",
        look=database.database,
        seconds=10,
        remedy=database.REMEDY,
    ),
    Probe(
        subject="channel layer",
        look=layer,
        seconds=15,
        remedy="Is the server of CHANNEL_LAYERS running, and is channels_redis installed?",
    ),
    Probe(
        subject="storage",
        look=storage.storage,
        seconds=20,
        remedy=storage.REMEDY,
    ),
    Probe(
        subject="backend",
        look=backend,
        seconds=60,
        remedy="Look at BACKEND, UPSTREAM_URL and API_KEY.",
    ),
    Probe(
        subject="work",
        look=workers.work,
        seconds=10,
        remedy=workers.REMEDY,
    ),
)
