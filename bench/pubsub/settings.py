"""The demo site's settings, with the channel layer that a way of the bench asks for."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403

LAYER = os.environ.get("BENCH_LAYER", "")
if LAYER:
    layer = CHANNEL_LAYERS["default"]  # noqa: F405
    layer["BACKEND"] = LAYER
    # All ways share one server, and pub/sub knows no database numbers.
    layer["CONFIG"]["prefix"] = os.environ["BENCH_PREFIX"]
    if LAYER.endswith("core.RedisChannelLayer"):
        layer["CONFIG"]["capacity"] = 20_000  # else it drops what is beyond 100
