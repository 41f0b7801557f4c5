"""All diagnoses, in the order in which one depends on another."""

from __future__ import annotations

from typing import Final

from denoise_relay.doctor import database, storage, workers
from denoise_relay.doctor.backend import backend
from denoise_relay.doctor.channel_layer import layer
from denoise_relay.doctor.configuration import configuration, limits
from denoise_relay.doctor.findings import Diagnosis

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
