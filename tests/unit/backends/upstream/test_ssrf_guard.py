from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.backends.upstream.errors import BadUrl, Unresolved
from denoise_relay.backends.upstream.ssrf_guard import is_public, parse_url, resolve

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",  # carrier-grade NAT
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",  # mapped: the socket would speak IPv4 to it
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1, 10.0.0.1, 169.254.169.254 and 224.0.0.1
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::e000:1",
    "64:ff9b::1:808:808",  # outside the /96
    "64:ff9b:1::1",  # NAT64 of a site's own
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",  # Teredo
    "2001::f7f7:f7f7",  # of 8.8.8.8, which a stranger's relay may or may not connect to
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:808:808::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
]


NAT64 = ipaddress.ip_network("64:ff9b::/96")


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "193.0.0.1",
        "2606:4700::1",
        "2a00:1450::1",
        "64:ff9b::808:808",  # NAT64 of 8.8.8.8
    ],
)
def test_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=6))
def test_no_address_outside_global_unicast_is_public(address: ipaddress.IPv6Address) -> None:
    if address not in ipaddress.ip_network("2000::/3"):
        assert is_public(str(address)) == (
            address in NAT64 and is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        )


@given(st.ip_addresses(v=4))
def test_a_translated_address_is_as_public_as_what_it_stands_for(
    address: ipaddress.IPv4Address,
) -> None:
    translated = ipaddress.IPv6Address(int(NAT64.network_address) + int(address))
    assert is_public(str(translated)) == is_public(str(address))


@given(st.text())
def test_any_text_is_a_url_or_a_bad_one(text: str) -> None:
    try:
        url = parse_url(text)
    except BadUrl:
        return
    assert url.scheme in ("http", "https")
    assert url.host
    assert not url.userinfo


def test_a_url_loses_its_fragment_and_nothing_else() -> None:
    text = "https://cdn.example:8443/a%20b.wav?X-Signature=a%2Fb&c=d"
    assert str(parse_url(text + "#x")) == text


@pytest.mark.parametrize(
    "allowed",
    ["127.0.0.1", "127.0.0.1:8001"],
)
async def test_a_listed_host_may_be_private(allowed: str) -> None:
    target = await resolve(parse_url("http://127.0.0.1:8001/a"), [allowed])
    assert target.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("allowed", ["127.0.0.1:8002", "127.0.0.2", "localhost", ""])
async def test_another_host_or_port_is_not_listed(allowed: str) -> None:
    with pytest.raises(BadUrl, match="ALLOWED_RESULT_HOSTS"):
        await resolve(parse_url("http://127.0.0.1:8001/a"), [allowed])


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://LocalHost/a", "localhost:80"),
        ("https://localhost/a", "LOCALHOST:443"),
        ("http://127.0.0.1/a", "127.0.0.1"),
    ],
)
async def test_the_list_knows_case_and_default_ports(url: str, allowed: str) -> None:
    assert (await resolve(parse_url(url), [allowed])).addresses


@pytest.mark.parametrize("url", ["http://[::1]:8001/", "http://[0:0:0:0:0:0:0:1]:8001/"])
async def test_ipv6_hosts_are_judged(url: str) -> None:
    with pytest.raises(BadUrl):
        await resolve(parse_url(url), [])


async def test_a_bracketed_ipv6_host_can_be_listed() -> None:
    assert (await resolve(parse_url("http://[::1]:8001/"), ["[::1]:8001"])).addresses == ("::1",)


def has_addresses(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(_host: Any, port: int, *_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    ("addresses", "connected"),
    [
        (["10.0.0.1", "8.8.8.8"], ("8.8.8.8",)),
        (["fd00::1", "2606:4700::1", "8.8.8.8"], ("2606:4700::1", "8.8.8.8")),  # dual stack
        (["64:ff9b:1::808:808", "8.8.8.8"], ("8.8.8.8",)),  # DNS64 with a prefix of its own
        (["64:ff9b::808:808", "8.8.8.8"], ("64:ff9b::808:808", "8.8.8.8")),
        ([f"10.0.0.{n}" for n in range(20)] + ["8.8.8.8"], ("8.8.8.8",)),
        (["8.8.8.8", "8.8.8.8"], ("8.8.8.8",)),
    ],
)
async def test_only_the_public_addresses_are_connected_to(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], connected: tuple[str, ...]
) -> None:
    has_addresses(monkeypatch, *addresses)
    target = await resolve(parse_url("https://cdn.example/a.wav"), [])
    assert target.addresses == connected


async def test_a_host_without_a_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    has_addresses(monkeypatch, "fd00::1", "10.0.0.1", "64:ff9b::a00:1", "::ffff:8.8.8.8")
    with pytest.raises(BadUrl, match=r"cdn\.example is not public \(fd00::1\)"):
        await resolve(parse_url("https://cdn.example/a.wav"), [])


async def test_a_listed_host_keeps_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    has_addresses(monkeypatch, "10.0.0.1", "8.8.8.8")
    target = await resolve(parse_url("https://cdn.example/a.wav"), ["cdn.example"])
    assert target.addresses == ("10.0.0.1", "8.8.8.8")


async def test_a_name_too_long_for_dns_is_no_crash() -> None:
    with pytest.raises((BadUrl, Unresolved)):
        await resolve(parse_url(f"http://{'a' * 70}.invalid/"), [])
