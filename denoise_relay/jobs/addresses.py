"""Which network address a request came from, and what is kept of it."""

from __future__ import annotations

import functools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from denoise_relay.conf import relay_settings

Address = IPv4Address | IPv6Address
#: Hexadecimal digits that are kept of a pseudonym.
PSEUDONYM_LIMIT = 32
#: A person has a whole network of IPv6 addresses, of this prefix length at least.
_IPV6_PREFIX = 64
_SALT = "denoise_relay.jobs.addresses"


def client_address(request: HttpRequest) -> Address | None:
    """The address of the client; None if it is not known, as behind a Unix socket.

    `X-Forwarded-For` counts only as far as proxies of `TRUSTED_PROXIES` have written it: anybody
    may send the header, and with a made-up one would be somebody else in each request.
    """
    found = _parse(request.META.get("REMOTE_ADDR") or "")
    trusted = _networks(relay_settings().TRUSTED_PROXIES)
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    # Each proxy appends the address that it got the request from: the last is the nearest.
    while hops and trusted and (found is None or any(found in network for network in trusted)):
        hop = _parse(hops.pop())
        if hop is None:
            break
        found = hop
    return found


def pseudonym(address: Address | None) -> str:
    """What is kept with a job: the same for the same address, and the address of nobody; "" for
    None. All IPv6 addresses of one /64 are one."""
    if address is None:
        return ""
    if isinstance(address, IPv6Address):
        network = ip_network((address, _IPV6_PREFIX), strict=False)
        text = str(network.network_address)
    else:
        text = str(address)
    return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()[:PSEUDONYM_LIMIT]


@functools.cache
def _networks(names: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(name, strict=False) for name in names)


def _parse(text: str) -> Address | None:
    # With a port, as some proxies write it: 192.0.2.1:443, [2001:db8::1]:443.
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
