"""`project.settings` with the unreliable layer."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["BACKEND"] = "tests.live.unreliable.UnreliableLayer"
