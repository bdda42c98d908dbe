"""What of a URL matters to trust, and which addresses are the public internet's."""

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

# IPv6 that carries IPv4 to a translator: RFC 6052. All that is allocated to the public internet: RFC 4291, 2.4.
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
# For benchmarks of network devices, RFC 2544; free on every machine that makes none.
_MADE_UP = IPv4Network("198.18.0.0/15")


def is_private(address: str) -> bool:
    """Whether it leads anywhere but to one host of the public internet; raises ValueError.

    So do loopback, link-local and with it the clouds' metadata, RFC 1918, unique local, shared (CGNAT), unspecified,
    multicast and reserved addresses; IPv4 inside IPv6 (mapped, NAT64, 6to4) is judged itself, Teredo always leads away.
    """
    ip = ip_address(address)
    if not isinstance(ip, IPv4Address):
        inner = IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        if inner is None:
            return ip not in _UNICAST or not ip.is_global
        ip = inner
    return not ip.is_global or ip.is_multicast


def where_media_is(
    resolve: Resolve, homes: Collection[str], scheme: str, host: str, port: int, *, allow_private: bool
) -> list[str]:
    """Return the addresses of a video, if one may have it from there; `resolve` is a getaddrinfo.

    That is over https from the public internet or, if that is allowed, from anywhere; and over http from private
    addresses alone. A proxy such as Clash or Surge gives each name an address of 198.18.0.0/15: it is believed where
    one of `homes`, the services' own hosts, has such an address too. Raises Untrusted, and socket.gaierror.
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


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def host(url: str) -> str:
    """Host and port, as one may show them."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        return "the server"
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def site(url: str) -> str:
    return f"{urlsplit(url).scheme}://{host(url)}"
