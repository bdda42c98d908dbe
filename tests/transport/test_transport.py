from __future__ import annotations

import gc
import gzip
import html
import itertools
import json
import logging
import re
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import trustme
from loopback import Proxy, Server, reply, tls

from videostat import __version__, transport
from videostat.errors import (
    ConfigError,
    NoConnection,
    Unreachable,
    Unreadable,
    Untrusted,
    VideostatError,
)
from videostat.transport import Transport, certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from loopback import Request

    from videostat.providers.base import Answer

NOW = datetime(2025, 1, 21, 16, tzinfo=UTC)
AUTH = {"x-api-key": "canary-key-0123456789"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
A_MIB = 1 << 20

make = partial(Transport, lambda: NOW)


def ask(server: Server, transport: Transport | None = None) -> Answer:
    return (transport or make()).ask("GET", server.url, "/job/1", AUTH)


def fetch(url: str, base_url: str, transport: Transport | None = None) -> bytes:
    with (transport or make()).open(url, {"accept-encoding": "identity"}, base_url=base_url, auth=AUTH) as body:
        return b"".join(read_pieces(body))


def read_pieces(body: transport.Body, size: int = 65536) -> Iterator[bytes]:
    while piece := body.read1(size):
        yield piece


for_api_and_media = pytest.mark.parametrize(
    "way", [ask, lambda server: fetch(server.url + "/v.mp4", server.url)], ids=["API", "media"]
)


@contextmanager
def limit_memory(limit: int) -> Iterator[None]:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] - before < limit
    finally:
        tracemalloc.stop()


# ---- answers


def test_answer_has_status_headers_body_and_time_of_receipt(serve: Callable[..., Server]) -> None:
    server = serve(reply({"state": ["é", 1]}, 418, {"X-RateLimit-Reset": "soon"}))
    answer = ask(server)
    assert (answer.status, answer.body, answer.received_at) == (418, {"state": ["é", 1]}, NOW)
    assert answer.headers["x-ratelimit-reset"] == "soon"
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("GET", "/job/1", b"")
    assert dict(request.headers) == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"videostat/{__version__}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "cache-control": "no-cache",
        **AUTH,
    }


def test_a_path_is_appended_to_the_prefix_of_the_base_url(serve: Callable[..., Server]) -> None:
    server = serve(reply({}))
    make().ask("GET", f"{server.url}/some/prefix", "/v2/list?page=1&limit=2", {})
    assert server.requests[0].target == "/some/prefix/v2/list?page=1&limit=2"


def test_a_body_is_posted_as_json(serve: Callable[..., Server]) -> None:
    server = serve(reply({}))
    asking = make()
    for prompt in ("waves", "a cat"):
        asking.ask("POST", server.url, "/new", AUTH, body={"prompt": prompt})
    assert [json.loads(request.body) for request in server.requests] == [{"prompt": "waves"}, {"prompt": "a cat"}]
    assert {request.headers["content-type"] for request in server.requests} == {"application/json"}


def test_looks_share_a_connection_but_not_paths_or_keys(serve: Callable[..., Server]) -> None:
    server = serve(lambda request: reply({"target": request.target, "key": request.headers.get("x-api-key")}))
    asking = make()
    for path, key in itertools.product(("/a", "/b"), ("one", "two")):
        answer = asking.ask("GET", server.url, path, {"x-api-key": key})
        assert answer.body == {"target": path, "key": key}
    assert server.connections == 1


def test_concurrent_threads_each_get_the_right_answer(serve: Callable[..., Server]) -> None:
    server = serve(lambda request: reply({"target": request.target}))
    asking, found = make(), dict[str, object]()

    def look(path: str) -> None:
        found[path] = asking.ask("GET", server.url, path, AUTH).body

    run_in_threads([partial(look, f"/{number}") for number in range(40)])
    assert found == {f"/{number}": {"target": f"/{number}"} for number in range(40)}


def test_look_during_another_look_does_not_disturb_it(serve: Callable[..., Server]) -> None:
    def ask_in_between(line: str) -> None:
        if line.startswith("> ") and "/first" in line:
            asking.ask("GET", server.url, "/second", AUTH)

    server, asking = serve(reply({})), make(trace=ask_in_between)
    for _ in range(2):
        asking.ask("GET", server.url, "/first", AUTH)
    assert [request.target for request in server.requests] == ["/second", "/first"] * 2


def run_in_threads(works: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (b"", None),
        (b"null", None),
        (b"<html>", None),
        (b"[]", []),
        (b'"text"', "text"),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        (b'{"a": "\xff"}', None),
        (b'{"a": NaN, "b": -Infinity}', {"a": None, "b": None}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (rb'{"a": "\ud800"}', {"a": "\ud800"}),
        (b'{"a": 1e999}', {"a": float("inf")}),
        (b'{"a": ' + b"9" * 5000 + b"}", None),
        (b"[" * 100_000, None),
        (b"[" * 100_000 + b"]" * 100_000, None),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b"[" * 65 + b"]" * 65, None),
        (b'[1, {"a":' * 32 + b"[]" + b"}]" * 32, None),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_body_is_decoded_as_json_or_is_none(serve: Callable[..., Server], body: bytes, decoded: object) -> None:
    assert ask(serve(reply(body))).body == decoded


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_answer_above_4_mib_after_decompression_is_unreadable(serve: Callable[..., Server], encoding: str) -> None:
    wbits = {"gzip": 31, "deflate": 15}

    def packed(size: int) -> bytes:
        body = b"1" * size
        body = zlib.compress(body, wbits=wbits[encoding]) if encoding in wbits else body
        return reply(body, headers={"Content-Encoding": encoding})

    server = serve(packed(4 * A_MIB))
    assert ask(server).status == 200
    server.answer = packed(4 * A_MIB + 1)
    with pytest.raises(Unreadable, match=r"the answer is larger than 4 MiB"):
        ask(server)


def make_gzip_bomb(mib: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(A_MIB)) for _ in range(mib)) + packer.flush()


def test_gzip_bomb_is_refused_with_little_memory(serve: Callable[..., Server]) -> None:
    server = serve(reply(make_gzip_bomb(200), headers={"Content-Encoding": "gzip"}))
    with limit_memory(16 * A_MIB), pytest.raises(Unreadable):
        ask(server)


def test_endless_body_is_refused_with_little_memory(serve: Callable[..., Server]) -> None:
    server = serve(lambda _: itertools.chain([HEAD + b"\r\n"], itertools.repeat(b"1" * 65536)))
    with limit_memory(16 * A_MIB), pytest.raises(Unreadable, match="4 MiB"):
        ask(server)


def drip(data: bytes, then: bytes) -> Iterator[bytes]:
    """Send `data`, and then `then` every hundredth of a second for two seconds."""
    yield data
    for _ in range(200):
        yield then
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("start", "then"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status line", "header", "body", "chunks", "chunk extension", "trailer", "continue"],
)
def test_slowly_arriving_answer_times_out(
    serve: Callable[..., Server], start: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.1)
    server = serve(lambda _: drip(start, then))
    began = time.monotonic()
    with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{server.port} did not answer in time"):
        ask(server)
    assert time.monotonic() - began < 1


def test_silent_server_times_out(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.05)
    with pytest.raises(Unreachable, match="did not answer in time"):
        ask(serve(lambda _: drip(b"", b"")))


@for_api_and_media
@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (b"", Unreachable, "the connection to {} was lost"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Unreadable, "HTTP protocol error from {}"),
        (b"HTTP/1.1 abc\r\n\r\n", Unreadable, "HTTP protocol error from {}"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, Unreadable, "HTTP protocol error from {}"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000, Unreadable, "HTTP protocol error from {}"),
        (HEAD + b"Content-Length: 5, 6\r\n\r\n1", Unreadable, "HTTP protocol error from {}"),
        (HEAD + b"Content-Length: 5\r\n\r\n1", Unreachable, "the connection to {} was lost"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n1", Unreachable, "the connection to {} was lost"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n1", Unreachable, "the connection to {} was lost"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_broken_http_gives_one_sentence(
    serve: Callable[..., Server],
    way: Callable[[Server], object],
    said: bytes,
    kind: type[VideostatError],
    sentence: str,
) -> None:
    server = serve(lambda _: [said])
    # Not `as raised`, which would keep the frames with their sockets.
    with pytest.raises(kind, match=re.escape(sentence.format(f"127.0.0.1:{server.port}")) + "$"):
        way(server)
    # A socket left open then warns in this test, and not in a later one.
    gc.collect()


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_answer_after_an_interim_answer_is_not_given_to_another_job(
    serve: Callable[..., Server], interim: bytes
) -> None:
    server = serve(lambda request: (interim if request.target == "/a" else b"") + reply({"target": request.target}))
    asking = make()
    with pytest.raises(Unreadable, match="HTTP protocol error"):
        asking.ask("GET", server.url, "/a", AUTH)
    with pytest.raises(Unreadable):
        fetch(f"{server.url}/a", server.url, asking)
    assert asking.ask("GET", server.url, "/b", AUTH).body == {"target": "/b"}
    assert fetch(f"{server.url}/v", server.url, asking) == b'{"target": "/v"}'


def test_100_continue_before_the_answer_is_accepted(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + reply({"a": 1}))
    assert ask(server).body == {"a": 1}


def test_body_that_cannot_be_decompressed_is_unreadable(serve: Callable[..., Server]) -> None:
    server = serve(reply(b"no gzip", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(Unreadable, match="cannot be decompressed"):
        ask(server)


@for_api_and_media
def test_refused_connection_raises_no_connection(way: Callable[[Server], object]) -> None:
    with Server() as server:
        pass
    with pytest.raises(NoConnection) as raised:
        way(server)
    assert str(raised.value) == f"127.0.0.1:{server.port} cannot be reached: Connection refused"


def test_unknown_host_name_raises_no_connection() -> None:
    def resolve(*args: object, **kwargs: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NoConnection) as raised:
        fetch("https://video.example/1?signature=secret", "https://api.example", make(resolve=resolve))
    assert str(raised.value) == "video.example cannot be reached: Name or service not known"


# ---- media


def test_media_body_is_not_decompressed(serve: Callable[..., Server]) -> None:
    packed = gzip.compress(b"video" * 1000)
    server = serve(reply(packed, 206, {"Content-Encoding": "gzip", "ETag": '"1"'}))
    with make().open(f"{server.url}/v?a=b", {"Range": "bytes=1-"}, base_url=server.url, auth={}) as body:
        assert (body.status, body.headers["etag"]) == (206, '"1"')
        assert b"".join(read_pieces(body, 100)) == packed
    (request,) = server.requests
    assert (request.target, request.headers["range"]) == ("/v?a=b", "bytes=1-")


def test_bytes_before_a_cut_are_returned(serve: Callable[..., Server]) -> None:
    server = serve(lambda _: [HEAD + b"Content-Length: 9999999\r\n\r\n", b"x" * 500_123])
    got: list[bytes] = []
    with (
        pytest.raises(Unreachable, match="was lost"),
        make().open(server.url, {}, base_url=server.url, auth={}) as body,
    ):
        got.extend(read_pieces(body, A_MIB))
    assert b"".join(got) == b"x" * 500_123


def test_time_limit_of_a_media_body_applies_to_each_read(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.1)
    head = HEAD + b"Content-Length: 15\r\n\r\n"
    server = serve(lambda _: itertools.islice(drip(head, b"x"), 16))
    assert fetch(server.url, server.url) == b"x" * 15
    server.answer = lambda _: drip(HEAD + b"Content-Length: 15\r\n\r\n", b"")
    with pytest.raises(Unreachable, match="did not answer in time"):
        fetch(server.url, server.url)


def test_media_body_may_end_when_the_connection_closes(serve: Callable[..., Server]) -> None:
    assert fetch(serve(lambda _: [HEAD + b"\r\n", b"video"]).url, "https://api.example", make(allow_private=True)) == (
        b"video"
    )


def test_redirect_location_in_utf8_is_followed(serve: Callable[..., Server]) -> None:
    def answer(request: Request) -> bytes:
        if request.target == "/v":
            return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /vid\xc3\xa9o\r\n\r\n"
        return reply(request.target.encode())

    server = serve(answer)
    assert fetch(f"{server.url}/v", server.url) == b"/vid%C3%A9o"


# ---- TLS


@for_api_and_media
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_environment_variables_set_the_trusted_certificates(
    *,
    serve: Callable[..., Server],
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Server], object],
    variable: str,
) -> None:
    server = serve(reply({}), tls=tls(authority, "127.0.0.1"))
    with pytest.raises(Untrusted):
        way(server)
    monkeypatch.setenv(variable, bundle)
    way(server)


@for_api_and_media
@pytest.mark.parametrize(
    ("is_known", "names", "options", "reason"),
    [
        (False, ["127.0.0.1"], {}, "unable to get local issuer certificate"),
        (True, ["127.0.0.2", "localhost"], {}, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        (True, ["127.0.0.1"], {"not_after": NOW, "not_before": NOW - timedelta(days=9)}, "certificate has expired"),
    ],
    ids=["untrusted", "wrong host", "expired"],
)
def test_bad_certificate_raises_untrusted_after_one_connection(
    *,
    serve: Callable[..., Server],
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Server], object],
    is_known: bool,
    names: list[str],
    options: dict[str, Any],
    reason: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    server = serve(reply({}), tls=tls(authority if is_known else trustme.CA(), *names, **options))
    with pytest.raises(Untrusted) as raised:
        way(server)
    assert str(raised.value).startswith(f"the certificate of 127.0.0.1:{server.port} is not trusted: {reason}")
    assert (server.connections, server.requests) == (1, [])


def test_unreadable_certificate_file_raises_config_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text("no certificates")
    for name in ("bundle.pem", "missing.pem"):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
        with pytest.raises(ConfigError, match=rf"cannot read the certificates that REQUESTS_CA_BUNDLE names: .*{name}"):
            make().ask("GET", "https://127.0.0.1:1", "/", {})


def test_ten_connections_load_the_certificates_once(
    serve: Callable[..., Server], authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    loaded, alike = list[str](), threading.Barrier(10)

    class Counting(certificates._Context):
        def load_verify_locations(self, *args: Any, **kwargs: Any) -> None:
            loaded.append("certificates")
            super().load_verify_locations(*args, **kwargs)

    monkeypatch.setattr(certificates, "_Context", Counting)
    answer = reply({})

    def all_at_once(_: object) -> bytes:
        alike.wait(5)
        return answer

    server, asking = serve(all_at_once, tls=tls(authority, "127.0.0.1")), make()
    run_in_threads([partial(ask, server, asking)] * 10)
    assert (server.connections, len(server.requests), loaded) == (10, 10, ["certificates"])


def test_http_1_1_is_negotiated_with_alpn(
    serve: Callable[..., Server], authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    context = tls(authority, "127.0.0.1")
    context.set_alpn_protocols(["http/1.1"])
    agreed = list[str | None]()

    class Noting(Server):
        def serve(self, connection: socket.socket) -> None:
            assert isinstance(connection, ssl.SSLSocket)
            agreed.append(connection.selected_alpn_protocol())
            super().serve(connection)

    with Noting(reply({}), tls=context) as server:
        ask(server)
    assert agreed == ["http/1.1"]


def test_https_to_a_server_without_tls_raises_unreachable() -> None:
    class Plain(Server):
        def serve(self, connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Plain() as server, pytest.raises(Unreachable, match="TLS protocol error"):
        make().ask("GET", server.url.replace("http:", "https:"), "/", AUTH)


# ---- proxies


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http proxy", "https proxy"])
def test_api_and_media_use_the_proxy_of_the_environment(
    serve: Callable[..., Server],
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    proxy_tls: bool,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    api = serve(reply({"a": 1}), tls=tls(authority, "api.example"))
    media = serve(reply(b"video"), tls=tls(authority, "media.example"))
    names = {"api.example:443": api, "media.example:443": media}
    with Proxy(names, tls=tls(authority, "127.0.0.1") if proxy_tls else None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        asking = make()
        assert asking.ask("GET", "https://api.example", "/", AUTH).body == {"a": 1}
        assert fetch("https://media.example/v", "https://api.example", asking) == b"video"
    assert proxy.asked == ["CONNECT api.example:443", "CONNECT media.example:443"]


def test_plain_http_request_is_sent_to_the_proxy_with_its_full_url(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(reply({"a": 1}))
    monkeypatch.setenv("HTTP_PROXY", "")
    monkeypatch.setenv("http_proxy", proxy.url)
    assert make().ask("GET", "http://api.example", "/job", AUTH).body == {"a": 1}
    assert fetch("http://api.example/v", "http://api.example") == b'{"a": 1}'
    assert [request.target for request in proxy.requests] == ["http://api.example/job", "http://api.example/v"]


@for_api_and_media
def test_host_in_no_proxy_is_reached_without_the_proxy(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, way: Callable[[Server], object]
) -> None:
    with Proxy({}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        way(serve(reply({})))
    assert proxy.asked == []


def test_proxy_refusal_is_reported_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(NoConnection) as raised:
            make().ask("GET", "https://api.example", "/", AUTH)
    assert str(raised.value) == "the proxy for api.example cannot connect: Tunnel connection failed: 502 Bad Gateway"


@pytest.mark.parametrize("status", [401, 403, 407])
def test_proxy_that_refuses_the_password_raises_config_error(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with Proxy({}, refusal=f"HTTP/1.1 {status} No\r\n\r\n".encode()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ConfigError, match=rf"the proxy requires .*\(HTTP {status}\)"):
            make().ask("GET", "https://api.example", "/", AUTH)
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("way", ["API", "media"])
def test_proxy_answer_407_is_not_retried_and_hides_the_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str, way: str
) -> None:
    with Proxy({}, refusal=b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
        url = f"{scheme}://api.example"
        with pytest.raises(ConfigError, match=r"the proxy requires a valid user name and password.*407") as raised:
            make().ask("GET", url, "/", AUTH) if way == "API" else fetch(url, url)
    assert "proxypassword" not in f"{raised.value} {raised.value.hint}"
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    "address", ["localhost:{}", "user:proxypassword@127.0.0.1:{}", "127.0.0.1:{}", "http://127.0.0.1:{}/"]
)
def test_proxy_address_may_omit_the_scheme(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    proxy = serve(reply({"a": 1}))
    monkeypatch.setenv("http_proxy", address.format(proxy.port))
    assert make().ask("GET", "http://api.example", "/job", {}).body == {"a": 1}


def test_unreachable_proxy_raises_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy({}) as proxy:
        pass
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(NoConnection, match=r"the proxy for api\.example cannot connect: Connection refused"):
        make().ask("GET", "https://api.example", "/", AUTH)


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "foo://user:proxypassword@127.0.0.1",
        "http://user:proxypassword@[bad",
        "http://user:proxypassword@",
        "http://user:proxypassword@proxy.example:99999",
        "http://user:proxypassword@proxy.example:port",
        "user:proxypassword@proxy..example:1",
    ],
)
def test_invalid_proxy_address_raises_config_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    for way in (make().ask, lambda _, url, *rest: fetch(url + "/v", url)):
        with pytest.raises(ConfigError, match=r"the address of the proxy for api\.example is not valid") as raised:
            way("GET", "https://api.example", "/", AUTH)
        assert "HTTPS_PROXY" in str(raised.value.hint)
        assert "proxypassword" not in f"{raised.value} {raised.value.hint}"


def escape_as_go_does(text: str) -> bytes:
    return json.dumps({text: text}).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e").encode()


# How a service may write the key that it repeats.
BODIES: Mapping[str, Callable[[str], bytes]] = {
    "as it is": lambda key: json.dumps({"msg": f"token {key} is exhausted", "again": [key]}).encode(),
    "a name": lambda key: json.dumps({"data": [{key: 1}]}).encode(),
    "as in PHP": lambda key: json.dumps({"php": key}).replace("/", r"\/").encode(),
    "as in Go": escape_as_go_does,
    "as in UTF-16": lambda key: json.dumps({"msg": key}).encode("utf-16"),
    "as in a URL": lambda key: json.dumps({"url": "https://h.example/?key=" + quote(key, safe="")}).encode(),
    "as in a path": lambda key: json.dumps({"url": "https://h.example/" + quote(key)}).encode(),
    "HTML in JSON": lambda key: json.dumps({"msg": f"<b>{html.escape(key)}</b>"}).encode(),
    "HTML": lambda key: f"<b>{html.escape(key)}</b>".encode(),
    "HTML in UTF-16": lambda key: f"<b>{html.escape(key)}</b>".encode("utf-16"),
}


@pytest.mark.parametrize("key", ["canary-key-0123456789", "Canary/Key-0123456789", "canary&<key>+0123456789=", "k&y0"])
@pytest.mark.parametrize("prefix", ["", "Bearer "])
@pytest.mark.parametrize("spelling", BODIES)
def test_key_repeated_by_a_service_is_masked(
    serve: Callable[..., Server], *, key: str, prefix: str, spelling: str
) -> None:
    lines: list[str] = []
    server = serve(reply(BODIES[spelling](key), headers={"X-Echo": quote(key, safe="")}, content_type=f"a/{key}"))
    asking = make(trace=lines.append)
    answer = asking.ask("GET", server.url, "/job/1", {"authorization": prefix + key})
    decoded = json.dumps(answer.body)
    assert ("***" in decoded) is ("HTML" not in spelling or "JSON" in spelling)
    assert answer.headers["content-type"] == "a/***"
    assert answer.headers["x-echo"] == "***"
    for said in (decoded, lines[1].partition("[")[2]):
        # The longest word of the key is the same in every encoding.
        assert max(re.split(r"\W", key), key=len) not in said.lower().replace("\0", "")


def test_answer_without_the_key_is_not_changed(serve: Callable[..., Server]) -> None:
    said = {"can": ["canary", "KEY", "***", {"0123456789": "\\ \u00e9 & %26"}], "": 0}
    for auth in (AUTH, {"authorization": "Bearer "}, {"x-api-key": "can"}, {}):
        assert make().ask("GET", serve(reply(said)).url, "/", auth).body == said


def test_key_in_a_media_header_is_masked(serve: Callable[..., Server]) -> None:
    server = serve(reply(b"video", content_type=f"video/{AUTH['x-api-key']}"))
    with make().open(server.url, {}, base_url=server.url, auth=AUTH) as body:
        assert body.headers["content-type"] == "video/***"


@pytest.mark.parametrize("depth", [60, 900, 100_000])
def test_deeply_nested_answer_is_traced(serve: Callable[..., Server], depth: int) -> None:
    lines: list[str] = []
    ask(serve(reply(b"[" * depth + b"]" * depth)), make(trace=lines.append))
    assert "[[[[" in lines[1]


def test_large_video_over_tls_is_read_whole_and_in_large_pieces(
    serve: Callable[..., Server], authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    video = bytes(range(256)) * (3 * A_MIB // 256)
    server = serve(reply(video), tls=tls(authority, "127.0.0.1"))
    asking = make()
    for _ in range(2):
        with asking.open(f"{server.url}/v.mp4", {}, base_url=server.url, auth=AUTH) as body:
            read = list(read_pieces(body, A_MIB))
        assert b"".join(read) == video
    assert max(map(len, read)) > 16384, "a record at a time"


def test_the_log_lines_of_others_keep_their_queries(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "urllib3.connectionpool"):
        logging.getLogger("urllib3.connectionpool").debug("%s", "/theirs?page=2")
    assert caplog.messages == ["/theirs?page=2"]
