"""A requests.Session without the defaults that would harm videostat.

It follows no redirects, keeps no cookies, ignores `.netrc` and reads no bodies.
"""

from __future__ import annotations

import os
import threading
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidProxyURL
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import parse_url

from videostat import __version__
from videostat.errors import Unreadable, VideostatError
from videostat.transport.addresses import format_host
from videostat.transport.certificates import load_context
from videostat.transport.connections import StaleConnectionError, Target, make_pools
from videostat.transport.sockets import Deadline
from videostat.transport.translation import iter_causes, make_proxy_refusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from videostat.transport.connections import Find

# 32 workers share a session. The default of 10 discards connections and costs 37 % of the speed.
POOL_SIZE = 32


class Request(requests.PreparedRequest):
    """A prepared request. `target` is the path and query to send, if they differ from `url`."""

    target = ""

    def __init__(self, url: str, headers: Mapping[str, str], cookies: RequestsCookieJar | None = None) -> None:
        super().__init__()
        self.deadline = Deadline()
        self.prepare("GET", url, {"User-Agent": f"videostat/{__version__}", **headers}, cookies=cookies)


class Adapter(HTTPAdapter):
    """An adapter that gives urllib3 our connections, our certificates and unchanged URLs."""

    def __init__(self, find: Find | None) -> None:
        self._pools = make_pools(find)
        self._lock = threading.Lock()
        super().__init__(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool manager for a proxy, with our certificates and connections."""
        if proxy.lower().startswith("https:"):
            # Otherwise the system's certificates would be used for the proxy.
            kwargs["proxy_ssl_context"] = self._load_context()
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager

    def build_connection_pool_key_attributes(self, request: Any, *args: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the keys of a connection pool, with our TLS context for https."""
        where, _ = super().build_connection_pool_key_attributes(request, *args)
        return where, {"ssl_context": self._load_context()} if where["scheme"] == "https" else {}

    def cert_verify(self, *args: Any) -> None:
        """Do nothing. requests would load and trust its own certificates for every connection."""

    def request_url(self, request: Any, proxies: Any) -> Target:
        """Return the URL for urllib3, with the form to send and the deadline."""
        url = super().request_url(request, proxies)
        target = Target(url)
        target.raw = url.removesuffix(request.path_url) + request.target if request.target else url
        target.deadline = request.deadline
        return target

    def _load_context(self) -> ssl.SSLContext:
        with self._lock:
            return load_context()


class Session(requests.Session):
    """A session for all threads. A forked process opens its own connections.

    `find` returns the addresses allowed for a scheme, host and port. None allows all.
    """

    def __init__(self, find: Find | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self._find = find
        self._inherited: list[object] = []
        self._open()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: no redirect is followed."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request and return the response without reading its body.

        Raises ConfigError if a proxy refuses, and Unreadable for an interim (1xx) response.
        """
        if self._process != os.getpid():
            self._open()
        response = self._send(request, **kwargs, stream=True)
        problem: VideostatError | None = None
        if response.status_code < HTTPStatus.OK:
            # The final answer follows; the next request on this connection would read it as its own.
            problem = Unreadable(f"HTTP protocol error from {format_host(response.url)}")
        elif response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and kwargs["proxies"]:
            problem = make_proxy_refusal("407")
        if problem:
            response.close()
            raise problem
        return response

    def _send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        while True:
            try:
                return super().send(request, **kwargs)
            except requests.RequestException as error:
                # This loop ends: each turn uses up one kept connection, and a new one is never stale.
                if not any(isinstance(cause, StaleConnectionError) for cause in iter_causes(error)):
                    raise

    def _open(self) -> None:
        """Start with new connections and locks, also after a fork."""
        # Keep a reference, so that urllib3 does not close the connections of the parent process.
        self._inherited += [self.adapters, self.cookies]
        adapter = Adapter(self._find)
        self.adapters = {"https://": adapter, "http://": adapter}
        self.cookies = RequestsCookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._process = os.getpid()


def find_proxies(site: str) -> dict[str, str]:
    """Return the proxies for a site from the environment, as requests expects them. Raises InvalidProxyURL."""
    proxies = get_environ_proxies(site)
    proxy = select_proxy(site, proxies)
    if not proxy:
        return {}
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        # Check it here: a later error would not show that the proxy is at fault.
        is_usable = (parse_url(proxy).host or "").encode("idna")
    except ValueError:
        is_usable = b""
    if not is_usable:
        raise InvalidProxyURL
    return {"all": proxy}
