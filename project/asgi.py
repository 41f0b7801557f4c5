"""The ASGI entry point: `daphne project.asgi:application`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# Before anything that imports models.
django_application = get_asgi_application()

from denoise_relay.asgi import relay_application  # noqa: E402

application = relay_application(django_application)
