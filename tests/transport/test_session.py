"""Connections, processes, URLs, certificates, proxies, and the libraries with which users fake HTTP."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests_mock
import responses
import trustme
import vcr  # type: ignore[import-untyped]
from loopback import Proxy, Server, Socks, redirect, reply, tls

from videostat import transport, wait
from videostat.client import Client
from videostat.config import Settings
from videostat.errors import ConfigError, NoConnection, Unreachable, Untrusted
from videostat.transport import Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loopback import Reply, Request

NOW = datetime(2025, 1, 21, 16, tzinfo=UTC)
AUTH = {"x-api-key": "canary-key-0123456789"}

make = partial(Transport, lambda: NOW)


def fetch(asking: Transport, url: str, base_url: str = "https://api.example") -> bytes:
    with asking.open(url, {}, base_url=base_url, auth=AUTH) as body:
        return b"".join(iter(partial(body.read1, 65536), b""))


# ---- kept connections


class ClosingServer(Server):
    """Answer `count` requests on a connection, then read one more and send `last`: by default nothing."""

    def __init__(self, count: int, tls: ssl.SSLContext | None = None, last: Reply = b"") -> None:
        super().__init__(self.answer_some, tls=tls)
        self._count = count
        self._last = last
        self._here = threading.local()

    def answer_some(self, request: Request) -> Reply:
        self._here.seen = getattr(self._here, "seen", 0) + 1
        return self._last if self._here.seen > self._count else reply({"target": request.target})


@pytest.mark.parametrize("way", ["http", "https", "CONNECT"])
def test_look_is_repeated_if_a_kept_connection_closes_without_a_byte(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    with ClosingServer(1, tls=None if way == "http" else tls(authority, "127.0.0.1", "api.example")) as server:
        url, asking = server.url, make()
        with Proxy({"api.example:443": server}) as proxy:
            if way == "CONNECT":
                monkeypatch.setenv("HTTPS_PROXY", proxy.url)
                url = "https://api.example"
            for path in ("/a", "/b", "/c"):
                assert asking.ask("GET", url, path, AUTH).body == {"target": path}
    assert [request.target for request in server.requests] == ["/a", "/b", "/b", "/c", "/c"]


def test_new_connection_that_closes_without_a_byte_raises_unreachable(serve: Callable[..., Server]) -> None:
    with ClosingServer(0) as server, pytest.raises(Unreachable, match="was lost"):
        make().ask("GET", server.url, "/a", AUTH)
    assert len(server.requests) == 1


def test_post_request_is_never_sent_twice() -> None:
    with ClosingServer(1) as server:
        asking = make()
        asking.ask("GET", server.url, "/a", AUTH)
        with pytest.raises(Unreachable, match="was lost"):
            asking.ask("POST", server.url, "/new", AUTH, body={"prompt": "waves"})
    assert [request.method for request in server.requests] == ["GET", "POST"]


def test_request_is_not_repeated_after_the_answer_has_started() -> None:
    with ClosingServer(1, last=[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"]) as server:
        asking = make()
        asking.ask("GET", server.url, "/a", AUTH)
        with pytest.raises(Unreachable, match="was lost"):
            asking.ask("GET", server.url, "/b", AUTH)
    assert len(server.requests) == 2


# ---- processes and threads


def run_in_child(step: Callable[[], bytes]) -> bytes:
    """Run the step in a forked process, and return what it returns."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"nothing"
        try:
            said = step()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_does_not_share_connections_with_its_parent(serve: Callable[..., Server]) -> None:
    server = serve(lambda request: reply({"target": request.target}))
    asking = make()
    asking.ask("GET", server.url, "/before", AUTH)

    def look(path: str) -> bytes:
        return json.dumps(asking.ask("GET", server.url, path, AUTH).body).encode()

    for number in range(3):
        assert run_in_child(partial(look, f"/child{number}")) == b'{"target": "/child%d"}' % number
        assert look(f"/parent{number}") == b'{"target": "/parent%d"}' % number
    assert server.connections == 4


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_does_not_wait_for_locks_of_its_parent(serve: Callable[..., Server]) -> None:
    server = serve(reply({"a": 1}))
    asking = make()
    asking.ask("GET", server.url, "/", AUTH)
    adapter: Any = asking._api.get_adapter(server.url)
    with adapter._lock, adapter.poolmanager.pools.lock, asking._api.cookies._cookies_lock:
        assert run_in_child(lambda: str(asking.ask("GET", server.url, "/", AUTH).status).encode()) == b"200"


def make_client(server: Server, folder: Path) -> Client:
    environment = {"VIDEOSTAT_DOUBAO_BASE_URL": server.url, "VIDEOSTAT_DOUBAO_API_KEY": "canary-key"}
    return Client(Settings(folder / "config.toml", environment), make())


@pytest.mark.slow
def test_threads_of_a_wait_end_when_it_is_closed(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(reply({"code": "success", "data": {"status": "FAILURE", "fail_reason": "no"}}))
    asking, before = make_client(server, tmp_path), threading.active_count()
    for number in range(40):
        jobs = wait(asking, [f"doubao:{number}", f"doubao:{number}b"], timeout=20)
        next(jobs)
        if number % 2:
            list(jobs)
        jobs.close()  # type: ignore[attr-defined]
    end = time.monotonic() + 10
    # The server has a thread for each kept connection.
    while threading.active_count() > before + server.connections and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before + server.connections


def test_each_job_fails_if_no_thread_can_be_started(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = make_client(serve(reply({})), tmp_path)

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    jobs = [*wait(asking, ["doubao:1", "doubao:2"], timeout=0.5)]
    assert [int(job.exit_code) for job in jobs] == [6, 6]
    assert "the system starts no further thread" in str(jobs[0].problem)


@pytest.mark.slow
def test_hundred_jobs_at_a_slow_server_use_few_threads_and_end_in_time(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(lambda _: drip(b"HTTP/1.1 200 OK\r\n", b"a"))
    program = """
        import threading, time
        from videostat import Client, wait
        most, over = 0, False
        def count():
            global most
            while not over:
                most = max(most, threading.active_count() - 1)
                time.sleep(0.01)
        threading.Thread(target=count, daemon=True).start()
        client, began = Client(), time.monotonic()
        codes = {int(job.exit_code) for job in wait(client, [f"doubao:{n}" for n in range(100)], timeout=2)}
        took, over = time.monotonic() - began, True
        print(most, took, codes)
    """
    environment = os.environ | {"VIDEOSTAT_DOUBAO_BASE_URL": server.url, "VIDEOSTAT_DOUBAO_API_KEY": "canary-key"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=True)
    most, took, codes = done.stdout.split(maxsplit=2)
    assert int(most) <= 40
    assert 2 <= float(took) < 4
    assert codes.strip() in {"{6}", "{124}", "{6, 124}", "{124, 6}"}


def drip(start: bytes, then: bytes) -> Iterator[bytes]:
    yield start
    for _ in range(600):
        time.sleep(0.01)
        yield then


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    ("start", "then"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"1")[:10], b"\0\0\0\xff\xff"),
    ],
    ids=["header", "chunk size", "gzip"],
)
def test_look_ends_in_time_if_the_answer_arrives_slowly(
    *,
    serve: Callable[..., Server],
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    secure: bool,
    start: bytes,
    then: bytes,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.3)
    server = serve(lambda _: drip(start, then), tls=tls(authority, "127.0.0.1") if secure else None)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="did not answer in time"):
        make().ask("GET", server.url, "/", AUTH)
    assert time.monotonic() - began < 2


@pytest.mark.slow
def test_first_byte_of_a_video_may_take_longer_than_later_bytes(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (transport.ANSWER_SECONDS, transport.FIRST_BYTE_SECONDS, transport.READ_SECONDS) == (60, 90, 30)
    monkeypatch.setattr(transport, "FIRST_BYTE_SECONDS", 3)
    monkeypatch.setattr(transport, "READ_SECONDS", 0.3)

    def slow(_: Request) -> Iterator[bytes]:
        time.sleep(0.8)
        yield reply(b"video")

    server = serve(slow)
    assert fetch(make(), server.url, server.url) == b"video"
    server.answer = lambda _: drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x")
    with pytest.raises(Unreachable, match="did not answer in time"):
        fetch(make(), server.url, server.url)


# ---- the spelling of a URL

SPELLINGS = [
    ("/v.mp4?X-Signature=%7e%2f[a]", "/v.mp4?X-Signature=%7e%2f[a]"),
    ("/a%2Fb/%41/../c//d/./e?", "/a%2Fb/%41/../c//d/./e?"),
    ('/%zz%?a=1&&b==|^{}"<>\\`', '/%zz%?a=1&&b==|^{}"<>\\`'),
    ("/v?u=http://h/?x@y:z;~!*'()", "/v?u=http://h/?x@y:z;~!*'()"),
    ("/v\u00e9 o?q=\u4e2d #fragment", "/v%C3%A9%20o?q=%E4%B8%AD%20"),
    ("", "/"),
    ("#fragment", "/"),
    ("//double", "//double"),
]


@pytest.mark.parametrize(("written", "sent"), SPELLINGS)
@pytest.mark.parametrize("way", ["direct", "redirect", "proxy", "CONNECT"])
def test_url_is_sent_without_normalisation(
    *,
    serve: Callable[..., Server],
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    written: str,
    sent: str,
    way: str,
) -> None:
    server = serve(reply(b"video"), tls=tls(authority, "video.example") if way == "CONNECT" else None)
    start = base_url = server.url
    match way:
        case "redirect":
            start = serve(redirect((server.url + written).encode().decode("latin-1"))).url + "/"
            written = ""
            base_url = start
            asking = make(allow_private=True)
        case "proxy":
            monkeypatch.setenv("http_proxy", server.url)
            start = base_url = "http://video.example"
            sent = start + sent
            asking = make()
        case "CONNECT":
            monkeypatch.setenv("SSL_CERT_FILE", bundle)
            asking = make()
        case _:
            asking = make()
    with Proxy({"video.example:443": server}) as proxy:
        if way == "CONNECT":
            monkeypatch.setenv("https_proxy", proxy.url)
            start = "https://video.example"
        assert fetch(asking, start + written, base_url) == b"video"
    (request,) = server.requests
    assert request.target == sent
    assert not [name for name in request.headers if "target" in name]


def test_cookies_of_a_download_are_not_sent_with_other_requests(serve: Callable[..., Server]) -> None:
    def answer(request: Request) -> bytes:
        if request.target == "/start":
            return b"HTTP/1.1 302 F\r\nContent-Length: 0\r\nSet-Cookie: pass=1; Path=/\r\nLocation: /v\r\n\r\n"
        return reply(b"video")

    server, asking = serve(answer), make()
    assert fetch(asking, f"{server.url}/start", server.url) == b"video"
    asking.ask("GET", server.url, "/look", AUTH)
    assert fetch(asking, f"{server.url}/other", server.url) == b"video"
    assert [request.headers.get("cookie") for request in server.requests] == [None, "pass=1", None, None]


@pytest.mark.parametrize(
    ("query", "has_key"),
    [("", True), ("?id=1", True), ("?X-Amz-Signature=1", False), ("?a=1&sig=2", False), ("?design=1", True)],
)
def test_key_is_not_sent_to_a_signed_url(serve: Callable[..., Server], query: str, *, has_key: bool) -> None:
    server = serve(reply(b"video"))
    fetch(make(), f"{server.url}/v{query}", server.url)
    assert ("x-api-key" in server.requests[0].headers) is has_key


# ---- certificates


@pytest.fixture
def unknown_authority() -> trustme.CA:
    """Make a certificate authority that is not trusted."""
    return trustme.CA()


@pytest.mark.parametrize("way", ["direct", "CONNECT", "https proxy"])
@pytest.mark.parametrize("kind", ["API", "media"])
def test_only_the_configured_certificate_bundle_is_trusted(
    *,
    serve: Callable[..., Server],
    unknown_authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    kind: str,
    authority: trustme.CA,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    signer = authority if way == "https proxy" else unknown_authority
    server = serve(reply(b"video"), tls=tls(signer, "api.example", "127.0.0.1"))
    proxy_tls = tls(unknown_authority, "127.0.0.1") if way == "https proxy" else None
    # The system and requests trust the unknown authority here. That must not count.
    pem = unknown_authority.cert_pem.bytes().decode()
    (tmp_path / "stranger.pem").write_text(pem)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "stranger.pem"))
    monkeypatch.setattr("ssl.SSLContext.load_default_certs", lambda self, *_: self.load_verify_locations(cadata=pem))
    with Proxy({"api.example:443": server}, tls=proxy_tls) as proxy:
        if way != "direct":
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        url = server.url if way == "direct" else "https://api.example"
        with pytest.raises((Untrusted, NoConnection)) as raised:
            make().ask("GET", url, "/", AUTH) if kind == "API" else fetch(make(), url, url)
    assert isinstance(raised.value, Untrusted)
    assert server.requests == []


def test_only_certificates_in_ssl_cert_dir_are_trusted(
    serve: Callable[..., Server], authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, empty = tmp_path / "certificates", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(path)], capture_output=True, text=True, check=True
    )
    path.rename(folder / f"{name.stdout.strip()}.0")
    server = serve(reply({}), tls=tls(authority, "127.0.0.1"))
    monkeypatch.setenv("SSL_CERT_DIR", f"{empty}:{folder}")
    assert make().ask("GET", server.url, "/", AUTH).status == 200
    monkeypatch.setenv("SSL_CERT_DIR", str(empty))
    with pytest.raises(Untrusted):
        make().ask("GET", server.url, "/", AUTH)
    monkeypatch.setenv("SSL_CERT_DIR", f"{folder}:{tmp_path / 'missing'}")
    with pytest.raises(ConfigError, match=r"cannot read the certificates that SSL_CERT_DIR names: .*missing"):
        make().ask("GET", server.url, "/", AUTH)


# ---- proxies


@pytest.mark.parametrize(("scheme", "host"), [("socks5", "127.0.0.1"), ("socks5h", "localhost")])
@pytest.mark.parametrize("secure", [False, True])
def test_socks_proxy_scheme_decides_where_names_are_resolved(
    *,
    serve: Callable[..., Server],
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    host: str,
    secure: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    server = serve(reply({"a": 1}), tls=tls(authority, "localhost") if secure else None)
    url = server.url.replace("127.0.0.1", "localhost")
    with Socks(server) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        asking = make()
        assert asking.ask("GET", url, "/job", AUTH).body == {"a": 1}
        assert fetch(asking, f"{url}/v%7e", url) == b'{"a": 1}'
    assert set(proxy.asked) == {host}
    assert [request.target for request in server.requests] == ["/job", "/v~"]


# ---- libraries for users' tests

URL = "https://api.example/v1/video/generations/a1"


def look_and_fetch() -> tuple[object, bytes]:
    asking = make(resolve=refuse_to_resolve)
    return asking.ask("GET", "https://api.example", "/v1/video/generations/a1", AUTH).body, fetch(
        asking, "https://media.example/v.mp4?a=%7e"
    )


def refuse_to_resolve(*_: object, **__: object) -> list[Any]:
    pytest.fail("a replay needs no addresses")


@responses.activate
def test_responses_library_intercepts_requests() -> None:
    responses.get(URL, json={"a": 1}, headers={"X-A": "b"})
    responses.get("https://media.example/v.mp4?a=~", body=b"video")
    assert look_and_fetch() == ({"a": 1}, b"video")
    first, second = responses.calls
    assert first.request.headers["x-api-key"] == AUTH["x-api-key"]
    assert "x-api-key" not in second.request.headers


def test_requests_mock_library_intercepts_requests() -> None:
    with requests_mock.Mocker() as mocked:
        mocked.get(URL, json={"a": 1})
        mocked.get("https://media.example/v.mp4?a=~", content=b"video")
        assert look_and_fetch() == ({"a": 1}, b"video")
        assert [call.url for call in mocked.request_history] == [URL, "https://media.example/v.mp4?a=~"]


def test_vcrpy_records_and_replays_requests(serve: Callable[..., Server], tmp_path: Path) -> None:
    body = b'{"a": 1}'
    server = serve(reply(body))
    cassette = str(tmp_path / "cassette.yaml")

    def look_and_fetch_from_server(asking: Transport) -> tuple[object, bytes]:
        return asking.ask("GET", server.url, "/job", AUTH).body, fetch(asking, f"{server.url}/v?b=%7e", server.url)

    asking = make()
    # Connections from before the cassette must not be used inside it, nor those of the cassette after it.
    assert look_and_fetch_from_server(asking) == ({"a": 1}, body)
    with vcr.use_cassette(cassette) as recorded:
        assert look_and_fetch_from_server(asking) == ({"a": 1}, body)
    assert [request.uri for request in recorded.requests] == [f"{server.url}/job", f"{server.url}/v?b=~"]
    count = len(server.requests)
    for again in (asking, make()):
        with vcr.use_cassette(cassette, record_mode="none") as playing:
            assert look_and_fetch_from_server(again) == ({"a": 1}, body)
            assert playing.all_played
    assert len(server.requests) == count
    assert look_and_fetch_from_server(asking) == ({"a": 1}, body)
    assert server.requests[-1].target == "/v?b=%7e"


def test_request_that_is_not_on_the_vcrpy_cassette_is_not_sent(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(reply({}))
    with (
        vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"),
        pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException),
    ):
        make().ask("GET", server.url, "/", AUTH)
    assert server.connections == 0
