from __future__ import annotations

import ipaddress

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
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "193.0.0.1", "2606:4700::1", "2a00:1450::1"]
)
def test_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=6))
def test_no_address_outside_global_unicast_is_public(address: ipaddress.IPv6Address) -> None:
    if address not in ipaddress.ip_network("2000::/3"):
        assert not is_public(str(address))


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


async def test_a_name_too_long_for_dns_is_no_crash() -> None:
    with pytest.raises((BadUrl, Unresolved)):
        await resolve(parse_url(f"http://{'a' * 70}.invalid/"), [])
