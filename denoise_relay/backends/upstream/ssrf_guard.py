"""Which URLs an untrusted server may make us fetch (SSRF): http(s), to public addresses.

The check and the connection use the same addresses, so that a name cannot resolve to a
public one for the check and to 127.0.0.1 a moment later. Of a name with public and other
addresses (dual stack, DNS64, split DNS) only the public ones are connected to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass

import httpx

from denoise_relay.backends.upstream.errors import BadUrl, Unresolved

RESOLVE_SECONDS = 10.0
MAX_ADDRESSES = 8

# Of IPv6 only this has been handed out for the public internet; the rest holds mapped,
# compatible and translated IPv4 addresses, unique-local, link-local and multicast ones.
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
#: Tunnels that carry an IPv4 address inside: 6to4 and Teredo.
_TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
#: An IPv4 address behind a translator (NAT64), which connects to just that address. A host that
#: has only IPv6 reaches all of IPv4 in this way. (A network may use a prefix of its own instead,
#: which looks like any other address: its translator must refuse private IPv4 addresses itself.)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A URL that may be fetched, at these addresses and no others."""

    url: httpx.URL
    addresses: tuple[str, ...]


def parse_url(text: str) -> httpx.URL:
    """Check the form of a URL; raises `BadUrl`.

    It is parsed by the library that will connect: two parsers that disagree about where a
    host ends are a hole.
    """
    if not text:
        raise BadUrl("there is no URL")
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in text):
        raise BadUrl("a URL with spaces or control characters")
    if "\\" in text:
        raise BadUrl("a URL with a backslash")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise BadUrl("not a URL") from exc
    if url.scheme not in ("http", "https"):
        raise BadUrl(f"the scheme of the URL is {url.scheme[:20]!r}, not http or https")
    if url.userinfo:
        raise BadUrl("a URL with a user name or password")
    if not url.host:
        raise BadUrl("a URL without a host")
    if url.port is not None and not 0 < url.port < 65536:
        raise BadUrl(f"a URL with port {url.port}")
    return url.copy_with(fragment=None)


async def resolve(url: httpx.URL, allowed_hosts: Collection[str]) -> Target:
    """Resolve the host to its public addresses; raises `BadUrl` when it has others only,
    `Unresolved` when it has none now. Hosts in `allowed_hosts` (`name` or `name:port`) may be
    anywhere."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(
                url.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError) as exc:
        raise Unresolved(f"{url.host} does not resolve: {type(exc).__name__}") from exc
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not _allowed(url.host, port, allowed_hosts):
        public = [address for address in addresses if is_public(address)]
        if addresses and not public:
            raise BadUrl(
                f"{url.host} is not public ({addresses[0]}); if it may be fetched from, "
                f"add '{_bracketed(url.host)}:{port}' to ALLOWED_RESULT_HOSTS"
            )
        addresses = public
    return Target(url=url, addresses=tuple(addresses[:MAX_ADDRESSES]))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, and to one host there."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # an IPv6 zone, such as fe80::1%eth0
        return False
    if ip in _NAT64:
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if isinstance(ip, ipaddress.IPv6Address) and (
        ip not in _PUBLIC_V6 or any(ip in tunnel for tunnel in _TUNNELS)
    ):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _allowed(host: str, port: int, allowed_hosts: Collection[str]) -> bool:
    names = {host.lower(), _bracketed(host.lower())}
    names |= {f"{name}:{port}" for name in names}
    return any(entry.lower() in names for entry in allowed_hosts)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
