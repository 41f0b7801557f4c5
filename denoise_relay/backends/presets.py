"""Presets of the configured backend: which there are, which is the default, what they are called.

A job keeps the name of its preset. "" is the default of the backend that takes it, and the only
name that is stored where there is nothing to choose.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from denoise_relay.backends import backend_class
from denoise_relay.backends.base import Preset
from denoise_relay.conf import RelaySettings, relay_settings
from denoise_relay.exceptions import JobFailed


def offered() -> Sequence[Preset]:
    """The presets of the configured backend, its default first. Cheap."""
    settings = relay_settings()
    return backend_class(settings).presets(settings)


def choices() -> Sequence[Preset]:
    """The presets between which people choose; none where there are fewer than two."""
    found = offered()
    return found if len(found) > 1 else ()


def others(name: str) -> Sequence[Preset]:
    """The presets with which a job that has this one may be done again."""
    mine = name or default_name()
    return [preset for preset in choices() if preset.name != mine]


def default_name() -> str:
    """The preset of a job for which nobody chose one; "" where there is nothing to choose."""
    return _default_of([preset.name for preset in choices()], relay_settings())


def is_offered(name: str) -> bool:
    """Whether a job may ask for this preset now."""
    return any(preset.name == name for preset in offered())


def label_of(name: str) -> str:
    """What people call a preset; its name if the backend does not offer it now."""
    return next((str(preset.label) for preset in offered() if preset.name == name), name)


def preset_to_run(name: str, available: Sequence[Preset], settings: RelaySettings) -> str:
    """The preset with which a backend that has `available` does a job that asks for `name`.

    Not another than was asked for: raises `JobFailed` if that one is gone. A backend without
    presets has one way to do jobs, and gets "".
    """
    names = [preset.name for preset in available]
    if not names:
        return ""
    if not name:
        return _default_of(names, settings)
    if name not in names:
        raise JobFailed(
            _("The quality “%(preset)s” is no longer available. Try again with another one.")
            % {"preset": name},
            detail=f"preset {name!r} is not one of {', '.join(names)}",
        )
    return name


def _default_of(names: Sequence[str], settings: RelaySettings) -> str:
    # A setting that names none of them is reported by the system checks.
    return settings.PRESET if settings.PRESET in names else next(iter(names), "")
