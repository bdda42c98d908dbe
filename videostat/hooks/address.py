"""Parse the address to listen on, and make the URL that services send webhooks to."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from videostat.errors import UsageError

LOOPBACK = "127.0.0.1"
# At least 64 random bits, because others on the network can try paths. A path that videostat makes has 128.
LEAST_PATH_BEYOND_LOOPBACK = 16
MADE_PATH = 22

_ADDRESS = re.compile(
    r"(?:(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>\d{1,5})(?P<path>/[\w.~/-]*)?", re.ASCII
)
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on. The path is a secret, so the repr hides it."""

    host: str
    port: int
    path: str = field(repr=False)
    is_path_made: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def origin(self) -> str:
        """The URL of the address without its path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse `[HOST:]PORT[/PATH]`. Raises UsageError.

    The default host is loopback and the default path is random. Another host needs a path that nobody can guess.
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
            f"others can reach --listen on {address.host}, so its path needs at least {LEAST_PATH_BEYOND_LOOPBACK} "
            "characters",
            hint=f"For example: --listen {address.host}:{address.port}{make_path()}",
        )
    return address


def make_path() -> str:
    """Make a random path of 22 characters."""
    return f"/{secrets.token_urlsafe(16)}"


def join_url(base: str, path: str) -> str:
    """Append the path to a public base URL, unless it is there."""
    base = base.rstrip("/")
    return base if urlsplit(base).path.endswith(path) else base + path
