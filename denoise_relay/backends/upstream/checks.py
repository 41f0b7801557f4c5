"""System checks of the upstream backend's settings."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from denoise_relay.conf import RelaySettings


def check_upstream(settings: RelaySettings) -> list[CheckMessage]:
    """Ids: W101 no key, E102 a key no header can carry, W103 results will be refused,
    W104 the key travels in the clear, E105 credentials in the URL."""
    messages: list[CheckMessage] = []
    parts = urlsplit(settings.UPSTREAM_URL)
    local = _is_loopback(parts.hostname or "")
    if not settings.API_KEY and not local:
        messages.append(
            CheckWarning(
                "DENOISE_RELAY['API_KEY'] is not set, and the upstream is another machine.",
                hint="Set the key that the upstream gave you, or BACKEND to 'local'.",
                id="denoise_relay.W101",
            )
        )
    if not re.fullmatch(r"[\x21-\x7e]*", settings.API_KEY):
        messages.append(
            Error(
                "DENOISE_RELAY['API_KEY'] has characters that no HTTP header can carry.",
                hint="Look for a line break or a space at its end.",
                id="denoise_relay.E102",
            )
        )
    allowed = {host.lower() for host in settings.ALLOWED_RESULT_HOSTS}
    if local and settings.STORE_RESULTS and not allowed & {parts.netloc.lower(), parts.hostname}:
        messages.append(
            CheckWarning(
                "The upstream is this machine, but its results may not be fetched from here.",
                hint=f"Add {parts.netloc!r} to DENOISE_RELAY['ALLOWED_RESULT_HOSTS'].",
                id="denoise_relay.W103",
            )
        )
    if settings.API_KEY and parts.scheme == "http" and not local:
        messages.append(
            CheckWarning(
                "The API key travels unencrypted: DENOISE_RELAY['UPSTREAM_URL'] is plain http.",
                hint="Use https, unless the network between is private.",
                id="denoise_relay.W104",
            )
        )
    if parts.username or parts.password:
        messages.append(
            Error(
                "DENOISE_RELAY['UPSTREAM_URL'] has a user name or password in it.",
                hint="The contract's key goes into API_KEY.",
                id="denoise_relay.E105",
            )
        )
    return messages


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
