"""Read where to listen, and find out where the world sees it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from videostat.errors import UsageError

LOOPBACK = "127.0.0.1"
# 64 bits at least, of what anybody on the network could try; what we make ourselves has 128.
LEAST_PATH_BEYOND_LOOPBACK = 16
MADE_PATH = 22

_ADDRESS = re.compile(
    r"(?:(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>\d{1,5})(?P<path>/[\w.~/-]*)?", re.ASCII
)
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. The path is the secret that lets a delivery in, so it is in no repr."""

    host: str
    port: int
    path: str = field(repr=False)
    is_path_made: bool = False

    @property
    def is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def parse_address(text: str) -> Address:
    """Read `[HOST:]PORT[/PATH]`; make a path where there is none. Raises UsageError.

    The host is loopback unless it is given; any other host needs a path that nobody guesses.
    """
    found = _ADDRESS.fullmatch(text)
    if not found or int(found["port"]) > _HIGHEST_PORT:
        raise UsageError(
            f"--listen {text!a} is not [HOST:]PORT[/PATH]",
            hint="For example: --listen 8080, or --listen 127.0.0.1:8080/hooks/some-long-secret",
        )
    path = found["path"]
    address = Address(
        (found["host"] or LOOPBACK).strip("[]"), int(found["port"]), path or make_path(), is_path_made=not path
    )
    if not address.is_loopback and len(address.path) <= LEAST_PATH_BEYOND_LOOPBACK:
        raise UsageError(
            f"--listen on {address.host} can be reached by others: its path needs {LEAST_PATH_BEYOND_LOOPBACK} "
            "characters at least",
            hint=f"For example: --listen {address.host}:{address.port}{make_path()}",
        )
    return address


def make_path() -> str:
    """Make a path of 22 characters that nobody guesses."""
    return f"/{secrets.token_urlsafe(16)}"


def join_url(base: str, path: str) -> str:
    """Return the address that a service is given: the path behind the base, which may end in it already."""
    base = base.rstrip("/")
    return base if urlsplit(base).path.endswith(path) else base + path
