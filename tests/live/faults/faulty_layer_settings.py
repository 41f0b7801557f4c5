"""`project.settings` with the faulty channel layer."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["BACKEND"] = "tests.live.faults.faulty_layer.FaultyLayer"
