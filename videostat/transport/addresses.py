"""Check whether an address is public, and take the host or origin from a URL."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from videostat.errors import Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Resolve = Callable[..., list[Any]]

# RFC 6052: IPv6 addresses that contain an IPv4 address. RFC 4291, 2.4: all public IPv6 addresses.
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
# RFC 2544 reserves this for benchmarks of network devices. Local proxies hand out addresses from it.
_MADE_UP = IPv4Network("198.18.0.0/15")


def is_private(address: str) -> bool:
    """Return whether an address is outside the public internet. Raises ValueError.

    Private are loopback, link-local (with the metadata servers of clouds), RFC 1918, unique local, shared (CGNAT),
    unspecified, multicast and reserved addresses, and all of Teredo. IPv6 that contains IPv4 (mapped, NAT64, 6to4) is
    judged by the IPv4 address.
    """
    ip = ip_address(address)
    if not isinstance(ip, IPv4Address):
        inner = IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        if inner is None:
            return ip not in _UNICAST or not ip.is_global
        ip = inner
    return not ip.is_global or ip.is_multicast


def find_media_addresses(
    resolve: Resolve, homes: Collection[str], scheme: str, host: str, port: int, *, allow_private: bool
) -> list[str]:
    """Resolve a video's host and check that its addresses are allowed.

    https is allowed from public addresses, and with `allow_private` from all. http is allowed only from private ones.
    Local proxies such as Clash and Surge give every name an address in 198.18.0.0/15. Such an address is allowed if one
    of `homes`, the hosts of the services, has one too. `resolve` has the signature of socket.getaddrinfo.
    Raises Untrusted and socket.gaierror.
    """
    addresses = _resolve(resolve, host, port)
    if scheme == "http" and not all(map(is_private, addresses)):
        raise Untrusted(f"the video is offered without encryption, at {host}")
    if scheme == "https" and not allow_private and any(map(is_private, addresses)):
        where = "a private network"
        if all(map(_is_made_up, addresses)):
            if any(map(_is_made_up, chain.from_iterable(_resolve(resolve, home, port) for home in homes))):
                return addresses
            where = f"{_MADE_UP}, which a proxy such as Clash or Surge makes up"
        raise Untrusted(
            f"the video's address, {host}, leads into {where}",
            hint="If it is meant to: --allow-private, or allow_private = true under [defaults]",
        )
    return addresses


def _resolve(resolve: Resolve, host: str, port: int) -> list[str]:
    return [*dict.fromkeys(info[4][0] for info in resolve(host.strip("[]"), port, type=socket.SOCK_STREAM))]


def _is_made_up(address: str) -> bool:
    ip = ip_address(address)
    return isinstance(ip, IPv4Address) and ip in _MADE_UP


def parse_origin(url: str) -> tuple[str, str | None, int | None]:
    """Split a URL into scheme, host and port. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def format_host(url: str) -> str:
    """Return host and port of a URL, or "the server" without a host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        return "the server"
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def format_site(url: str) -> str:
    """Return scheme, host and port of a URL, without user, path and query."""
    return f"{urlsplit(url).scheme}://{format_host(url)}"
