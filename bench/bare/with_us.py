"""The same project with this app, as docs/integrate.md says."""

from __future__ import annotations

from bench.bare.settings import *  # noqa: F403
from bench.bare.settings import INSTALLED_APPS

ROOT_URLCONF = "bench.bare.urls_with_us"
ASGI_APPLICATION = "bench.bare.asgi_with_us.application"
INSTALLED_APPS = [*INSTALLED_APPS, "denoise_relay"]
DENOISE_RELAY = {"BACKEND": "upstream", "API_KEY": "bench", "WORKER": "embedded"}
