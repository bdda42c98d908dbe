"""Load the trusted CA certificates, once for all connections."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from videostat.errors import ConfigError
from videostat.transport.sockets import SecureSocket


class _Context(ssl.SSLContext):
    sslsocket_class = SecureSocket

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        """Do nothing. urllib3 would set them for each connection, which is a race (python/cpython#141012)."""


def load_context() -> ssl.SSLContext:
    """Return the TLS context with the certificates named in the environment, else certifi's.

    REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file or a folder. Otherwise SSL_CERT_FILE and SSL_CERT_DIR, which may
    be a list of folders, are used together, as in OpenSSL. Raises ConfigError.
    """
    named = {name: value for name in _VARIABLES if (value := os.environ.get(name))}
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if name in named:
            return _load(((name, named[name]),))
    places = [(name, path) for name, paths in named.items() for path in _split(name, paths) if path]
    return _load(tuple(places) or (("certifi", DEFAULT_CA_BUNDLE_PATH),))


_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def _split(name: str, paths: str) -> list[str]:
    return paths.split(os.pathsep) if name == "SSL_CERT_DIR" else [paths]


@lru_cache
def _load(places: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    """Load certificates into one shared context. A context takes 18 ms and 0.75 MB."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    super(_Context, context).set_alpn_protocols(["http/1.1"])
    for source, path in places:
        is_folder = source == "SSL_CERT_DIR" or Path(path).is_dir()
        try:
            # OpenSSL treats a missing folder as an empty one.
            Path(path).stat()
            context.load_verify_locations(**{"capath" if is_folder else "cafile": path})
        except OSError as error:
            raise ConfigError(f"cannot read the certificates that {source} names: {path}") from error
    return context
