"""How a job is done. `base` is the manual; `upstream` and `local` are the two we ship."""

from __future__ import annotations

from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from denoise_relay.backends.base import Backend
from denoise_relay.conf import SHORT_BACKENDS, RelaySettings


def backend_class(settings: RelaySettings) -> type[Backend]:
    """The class that `BACKEND` names; `ImproperlyConfigured` when there is none."""
    path = SHORT_BACKENDS.get(settings.BACKEND, settings.BACKEND)
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"DENOISE_RELAY['BACKEND'] = {settings.BACKEND!r} cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise ImproperlyConfigured(
            f"DENOISE_RELAY['BACKEND'] = {settings.BACKEND!r} is no "
            "denoise_relay.backends.base.Backend"
        )
    return found


def check(settings: RelaySettings) -> list[CheckMessage]:
    """What the backend says of its settings; `ImproperlyConfigured` when there is none."""
    if settings.BACKEND == "upstream":
        # Without the backend itself, which brings the HTTP client.
        from denoise_relay.backends.upstream.checks import check_upstream

        return check_upstream(settings)
    return list(backend_class(settings).check(settings))


def preset_names(settings: RelaySettings) -> list[str]:
    """The presets that the backend offers; `ImproperlyConfigured` when there is no backend."""
    if settings.BACKEND == "upstream":
        return []
    return [preset.name for preset in backend_class(settings).presets(settings)]


def load(settings: RelaySettings) -> Backend:
    """An instance of the configured backend."""
    return backend_class(settings)(settings)
