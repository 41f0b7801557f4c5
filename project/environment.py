"""Reading the environment: flags and comma-separated names."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def flag(name: str, *, default: bool) -> bool:
    """Read `1`/`0`, `true`/`false`, `yes`/`no` or `on`/`off`; unset or empty is the default."""
    text = os.environ.get(name, "").strip().lower()
    if not text:
        return default
    if text not in _TRUE + _FALSE:
        # A typo in DEBUG must not leave it on.
        raise ImproperlyConfigured(f"{name}={text!r}: say 1 or 0.")
    return text in _TRUE


def names(name: str) -> list[str]:
    """Read a comma-separated list."""
    return [item.strip() for item in os.environ.get(name, "").split(",") if item.strip()]
