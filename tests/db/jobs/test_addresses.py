"""The address of a client: proxies are believed only where the site says so."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from denoise_relay import conf
from denoise_relay.jobs import addresses


def address_of(peer: str, forwarded: str = "") -> str:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    return str(addresses.client_address(request) or "")


def test_without_proxies_the_header_is_nothing() -> None:
    assert address_of("192.0.2.1") == "192.0.2.1"
    assert address_of("127.0.0.1", "203.0.113.9") == "127.0.0.1"
    assert address_of("") == ""


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the client made the first one up
        ("127.0.0.1", "203.0.113.9, 10.1.2.3", "203.0.113.9"),  # two proxies
        ("10.9.9.9", "10.1.1.1, 10.1.2.3", "10.1.1.1"),  # only proxies: the farthest
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),  # no proxy of ours sent it
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "nonsense, 203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", "203.0.113.9"),  # through a Unix socket
        ("::ffff:127.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        ("127.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
    ],
)
def test_with_proxies(peer: str, forwarded: str, found: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = {"TRUSTED_PROXIES": ["127.0.0.1", "10.0.0.0/8"]}
    assert address_of(peer, forwarded) == found


def test_what_is_kept_names_nobody_and_counts_a_home_as_one() -> None:
    def kept(text: str) -> str:
        return addresses.pseudonym(addresses._parse(text))

    assert kept("192.0.2.1") == kept("::ffff:192.0.2.1") != kept("192.0.2.2")
    assert kept("2001:db8:0:1::1") == kept("2001:db8:0:1:ffff::2") != kept("2001:db8:0:2::1")
    assert kept("nonsense") == ""


def test_what_is_no_network_is_a_problem(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"TRUSTED_PROXIES": ["proxy.example"]}
    assert [key for key, _problem in conf.problems()] == ["TRUSTED_PROXIES"]
