"""The values of `DENOISE_RELAY`: which are allowed, and how one is read from a text.

Of what type a value is, its default says (`conf.RelaySettings`).
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

SHORT_BACKENDS = {
    "upstream": "denoise_relay.backends.upstream.UpstreamBackend",
    "local": "denoise_relay.backends.local.LocalBackend",
}
_CHOICES = {
    "WORKER": ("embedded", "external"),
    "ON_LOST_SUBMISSION": ("resubmit", "fail"),
    "PUBSUB": ("channel_layer", "postgresql"),
    "ON_USER_DELETE": ("keep", "delete"),
}
_MAY_BE_ZERO = {
    "MAX_ENGINES",
    "MAX_WAITING_PER_ADDRESS",
    "MAX_WAITING_PER_OWNER",
    "MAX_WAITING_PER_VISITOR",
    "RETENTION_DAYS",
    "SUBMISSION_GRACE_SECONDS",
}
#: Largest integer up to which a float represents every integer exactly; no database column holds
#: more.
_LARGEST = 2**53


def problem_of(key: str, default: Any, value: Any) -> str:
    """Say what is wrong with the value of one key, or nothing."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "must be True or False"
    if isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if isinstance(default, int) and isinstance(value, float) and not value.is_integer():
            return "must be a whole number"
        if not 0 <= value < float("inf") or (value == 0 and key not in _MAY_BE_ZERO):
            return "must be positive"
        return "" if value <= _LARGEST else "must be smaller"
    if isinstance(default, tuple):
        strings = isinstance(value, list | tuple | set | frozenset)
        if not strings or not all(isinstance(item, str) for item in value):
            return "must be a list of strings"
        if key == "TRUSTED_PROXIES" and not all(map(_is_network, value)):
            return "must be a list of addresses or networks"
        return ""
    if not isinstance(value, str):
        return "must be a string"
    if key in _CHOICES and value not in _CHOICES[key]:
        return f"must be one of {', '.join(_CHOICES[key])}"
    if key == "BACKEND" and value not in SHORT_BACKENDS and "." not in value:
        return "must be upstream, local or a dotted path"
    if key == "UPSTREAM_URL" and not _is_http_url(value):
        return "must be an http or https URL"
    return ""


def _is_network(value: str) -> bool:
    try:
        ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def _is_http_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        # Reading the port raises when it is none.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def coerce(default: Any, value: Any) -> Any:
    """The value, which has no problem, in the type of the default."""
    return tuple(value) if isinstance(default, tuple) else type(default)(value)


def parse(default: Any, text: str) -> Any:
    """Read a text, by the type of the default; what cannot be read is returned as it is."""
    if isinstance(default, bool):
        return {"1": True, "true": True, "yes": True, "on": True}.get(
            text.lower(),
            {"0": False, "false": False, "no": False, "off": False}.get(text.lower(), text),
        )
    if isinstance(default, tuple):
        return [item.strip() for item in text.split(",") if item.strip()]
    if isinstance(default, int | float):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text
