"""Which addresses a source may live at."""

from ipaddress import ip_address, ip_network

import pytest

from keelway.sources.addresses import parse_networks, refusal


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.96.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("fec0::1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("2001:db8::1", "documentation"),
        ("2001::1", "reserved"),
        ("64:ff9b:1::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a00:1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("::7f00:1", "reserved"),
    ],
)
def test_internal_and_special_addresses_are_refused_by_kind(address: str, kind: str) -> None:
    assert refusal(ip_address(address), ()) == kind


@pytest.mark.parametrize("address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_not_refused(address: str) -> None:
    assert refusal(ip_address(address), ()) is None


def test_an_allowed_network_excepts_its_addresses_and_no_others() -> None:
    allowed = parse_networks(["10.1.0.0/16", " fd00::/8 ", ""])
    assert refusal(ip_address("10.1.2.3"), allowed) is None
    assert refusal(ip_address("::ffff:10.1.2.3"), allowed) is None
    assert refusal(ip_address("fd12::1"), allowed) is None
    assert refusal(ip_address("10.2.0.1"), allowed) == "private"
    assert refusal(ip_address("127.0.0.1"), allowed) == "loopback"


def test_a_network_that_is_none_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="300"):
        parse_networks(["300.0.0.0/8"])
    assert parse_networks(["10.0.0.0/8"]) == (ip_network("10.0.0.0/8"),)
