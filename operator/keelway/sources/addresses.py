"""Which network addresses a source may live at: pure, the rules behind `guard.py`.

Refused are the ranges that the IANA special-purpose registries (RFC 6890 and its successors) do not call
globally reachable: a URL written by a tenant must reach neither this machine, nor the cluster, nor the
cloud's metadata service. The administrator's `allowed_networks` make exceptions.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(cidr), kind)
    for cidr, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
    )
)
# All that IANA has given out as global unicast; what lies outside is reserved.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def parse_networks(cidrs: Sequence[str]) -> tuple[Network, ...]:
    """The networks of a list of CIDRs; raises ValueError naming the one that is none."""
    return tuple(ip_network(cidr.strip()) for cidr in cidrs if cidr.strip())


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether the administrator excepted this very address."""
    return any(address.version == network.version and address in network for network in allowed)


def refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    """Why nothing may connect to `address` ("private", "loopback", ...), or None where it may."""
    if is_allowed(address, allowed):
        return None
    embedded = _embedded(address)
    if embedded is not None:
        return refusal(embedded, allowed)
    for network, kind in _REFUSED:
        if address.version == network.version and address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "reserved"
    return None


def parse_address(text: str) -> Address:
    """An address as getaddrinfo prints it: an IPv6 zone (`%eth0`) is no part of it."""
    return ip_address(text.partition("%")[0])


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to: mapped (::ffff:0:0/96), NAT64 or 6to4."""
    if not isinstance(address, IPv6Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
