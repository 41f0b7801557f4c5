"""What is compared: a backend with a preset."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from denoise_relay.backends import backend_class, presets
from denoise_relay.conf import relay_settings
from denoise_relay.models import Comparison, Job


@dataclass(frozen=True, order=True, slots=True)
class Variant:
    """`backend` is "" for jobs that ended before it was recorded, `preset` for the default one."""

    backend: str
    preset: str

    @property
    def label(self) -> str:
        """In words, for staff."""
        backend = self.backend or _("backend unknown")
        # Translators: the name of a backend, then that of its preset.
        return _("%(backend)s, %(preset)s") % {
            "backend": backend,
            "preset": self.preset or _("default preset"),
        }

    @property
    def key(self) -> str:
        """The value of a form's field."""
        return f"{self.backend}/{self.preset}"


def variant_of(job: Job) -> Variant:
    """How a job was done."""
    return Variant(job.backend, job.preset)


def variants_of(comparison: Comparison) -> tuple[Variant, Variant]:
    """The first and the second variant."""
    return (
        Variant(comparison.first_backend, comparison.first_preset),
        Variant(comparison.second_backend, comparison.second_preset),
    )


def offered() -> list[Variant]:
    """What new jobs can be run with here: the presets of the configured backend."""
    name = backend_class(relay_settings()).name
    return [Variant(name, preset.name) for preset in presets.offered()] or [Variant(name, "")]
