"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DenoiseRelayConfig(AppConfig):
    name = "denoise_relay"
    verbose_name = _("Voice isolation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Importing registers the system checks.
        from denoise_relay import checks  # noqa: F401
