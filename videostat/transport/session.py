"""The requests.Session that everything goes through, without what would go wrong here.

Those are redirects that are followed, cookies that are kept, `.netrc` in place of our key, and bodies without limit.
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
from videostat.transport.addresses import host
from videostat.transport.certificates import load_context
from videostat.transport.connections import StaleConnectionError, Target, pools
from videostat.transport.sockets import Deadline
from videostat.transport.translation import causes, refused_by_proxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from videostat.transport.connections import Find

# With requests' own 10, 32 workers throw connections away: 0.63 of the speed.
POOL_SIZE = 32


class Request(requests.PreparedRequest):
    """A prepared request; `target` is how its path and query are spelt on the wire, if not as in `url`."""

    target = ""

    def __init__(self, url: str, headers: Mapping[str, str], cookies: RequestsCookieJar | None = None) -> None:
        super().__init__()
        self.deadline = Deadline()
        self.prepare("GET", url, {"User-Agent": f"videostat/{__version__}", **headers}, cookies=cookies)


class Adapter(HTTPAdapter):
    """Hands our connections, our certificates and the spelling of a URL to urllib3."""

    def __init__(self, find: Find | None) -> None:
        self._pools = pools(find)
        self._lock = threading.Lock()
        super().__init__(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            # Without it, the system's certificates would vouch for the proxy.
            kwargs["proxy_ssl_context"] = self._context()
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager

    def build_connection_pool_key_attributes(self, request: Any, *args: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        where, _ = super().build_connection_pool_key_attributes(request, *args)
        return where, {"ssl_context": self._context()} if where["scheme"] == "https" else {}

    def cert_verify(self, *args: Any) -> None:
        """Do nothing: requests would load its bundle for every connection, and so trust everybody in it."""

    def request_url(self, request: Any, proxies: Any) -> Target:
        url = super().request_url(request, proxies)
        target = Target(url)
        target.raw = url.removesuffix(request.path_url) + request.target if request.target else url
        target.deadline = request.deadline
        return target

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            return load_context()


class Session(requests.Session):
    """Sends Requests; one for all threads, and in a forked process one with connections of its own.

    `find` says which addresses may be connected to for a scheme, host and port; None: any.
    """

    def __init__(self, find: Find | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self._find = find
        self._inherited: list[object] = []
        self._open()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow no redirect."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Return the answer, its body unread.

        Raises ConfigError where a proxy refuses, and Unreadable for an interim answer.
        """
        if self._process != os.getpid():
            self._open()
        response = self._send(request, **kwargs, stream=True)
        problem: VideostatError | None = None
        if response.status_code < HTTPStatus.OK:
            # Another answer follows, which the next request of this connection would take for its own.
            problem = Unreadable(f"{host(response.url)} does not speak HTTP as it should")
        elif response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and kwargs["proxies"]:
            problem = refused_by_proxy("407")
        if problem:
            response.close()
            raise problem
        return response

    def _send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        while True:
            try:
                return super().send(request, **kwargs)
            except requests.RequestException as error:
                # It ends: each time there is one such connection less, and a fresh one is never stale.
                if not any(isinstance(cause, StaleConnectionError) for cause in causes(error)):
                    raise

    def _open(self) -> None:
        """Begin without connections and locks of the process that this one was forked from."""
        # Kept, for urllib3 would close the other process's connections when they are no longer referred to.
        self._inherited += [self.adapters, self.cookies]
        adapter = Adapter(self._find)
        self.adapters = {"https://": adapter, "http://": adapter}
        self.cookies = RequestsCookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._process = os.getpid()


def find_proxies(site: str) -> dict[str, str]:
    """Return what the environment names for a site, in requests' words; raises InvalidProxyURL."""
    proxies = get_environ_proxies(site)
    proxy = select_proxy(site, proxies)
    if not proxy:
        return {}
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        # Here, where it is known whose address is bad.
        is_usable = (parse_url(proxy).host or "").encode("idna")
    except ValueError:
        is_usable = b""
    if not is_usable:
        raise InvalidProxyURL
    return {"all": proxy}
