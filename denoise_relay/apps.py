"""The Django app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DenoiseRelayConfig(AppConfig):
    name = "denoise_relay"
    verbose_name = _("Voice isolation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth import get_user_model
        from django.db.models.signals import pre_delete

        # Importing registers the system checks.
        from denoise_relay import checks  # noqa: F401

        pre_delete.connect(
            _on_user_delete,
            sender=get_user_model(),
            dispatch_uid="denoise_relay.on_user_delete",
        )


def _on_user_delete(**signal: Any) -> None:
    # Loaded when it is needed: what deletes jobs knows most of the package.
    from denoise_relay.jobs import deletion

    deletion.on_user_delete(**signal)
