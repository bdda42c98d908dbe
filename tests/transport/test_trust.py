"""No answer of a server may send a key elsewhere, reach a private network, or end in a traceback."""

from __future__ import annotations

import json
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Proxy, Server, redirect, reply

from videostat.client import Client
from videostat.config import Settings
from videostat.errors import NoConnection, Unreachable, Untrusted, VideostatError
from videostat.models import Job, JobRef, State
from videostat.providers import PROVIDERS
from videostat.transport import Transport, addresses
from videostat.transport.addresses import find_media_addresses, is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loopback import Request

NOW = datetime(2025, 1, 21, 16, tzinfo=UTC)
KEY = "canary-key-0123456789"
A_MIB = 1 << 20

make = partial(Transport, lambda: NOW)
every_provider = pytest.mark.parametrize("name", PROVIDERS)


@pytest.fixture
def home_server() -> Iterator[Server]:
    """Start the configured service."""
    with Server() as server:
        yield server


@pytest.fixture
def stranger(home_server: Server) -> Iterator[Server]:
    """Start a server on another host with the same port."""
    with Server(reply(b"video"), host="127.0.0.2", port=home_server.port) as server:
        yield server


@pytest.fixture
def neighbour() -> Iterator[Server]:
    """Start a server on the same host with another port."""
    with Server(reply(b"video")) as server:
        yield server


def make_client(server: Server, folder: Path, transport: Transport | None = None) -> Client:
    """Make a client with every provider at this server, and one key for all."""
    environment = {
        f"VIDEOSTAT_{account.upper().replace('-', '_')}_{what}": value
        for account in {provider.key_group for provider in PROVIDERS.values()}
        for what, value in (("BASE_URL", server.url), ("API_KEY", KEY))
    }
    return Client(Settings(folder / "config.toml", environment), transport or make(allow_private=True))


def save(asking: Client, name: str, url: str) -> bytes:
    with asking.open(JobRef(name, "a1"), url, {}) as body:
        return body.read1(65536)


def check_requests_for_key(server: Server) -> list[bool]:
    """Return for each request whether the key was anywhere in it."""
    return [KEY.encode() in request.raw for request in server.requests]


# ---- the key


@every_provider
def test_the_key_goes_to_the_configured_origin(name: str, home_server: Server, tmp_path: Path) -> None:
    asking, job = make_client(home_server, tmp_path), Job(ref=JobRef(name, "a1"))
    home_server.answer = reply(b"video")
    save(asking, name, f"{home_server.url}/v.mp4")
    for look in (job, replace(job, state=State.SUCCEEDED, needs_url=True)):
        with suppress(VideostatError):
            asking.look(look)
    auth = PROVIDERS[name].auth
    assert [r.headers[auth.header.lower()] for r in home_server.requests] == [auth.prefix + KEY] * 3


@every_provider
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_key_is_not_sent_after_an_api_redirect(
    *, name: str, status: int, home_server: Server, stranger: Server, neighbour: Server, tmp_path: Path
) -> None:
    asking, job = make_client(home_server, tmp_path), Job(ref=JobRef(name, "a1"))
    for target in (stranger, neighbour, home_server):
        home_server.answer = redirect(f"{target.url}/elsewhere?signature=secret", status)
        with pytest.raises(Untrusted, match=rf"{home_server.url} redirects to {target.url}") as raised:
            asking.look(job)
        assert "secret" not in f"{raised.value} {raised.value.hint}"
        # The download step may redirect to the file, whose address is not asked here.
        with suppress(Untrusted):
            asking.look(replace(job, state=State.SUCCEEDED, needs_url=True))
    assert len(home_server.requests) == 6
    assert stranger.connections == neighbour.connections == 0


@every_provider
def test_media_of_other_origins_are_fetched_without_the_key(
    name: str, home_server: Server, stranger: Server, neighbour: Server, tmp_path: Path
) -> None:
    asking = make_client(home_server, tmp_path)
    for server in (stranger, neighbour):
        assert save(asking, name, f"{server.url}/v.mp4") == b"video"
        home_server.answer = redirect(f"{server.url}/v.mp4")
        assert save(asking, name, f"{home_server.url}/v.mp4") == b"video"
        assert check_requests_for_key(server) == [False, False]
    assert check_requests_for_key(home_server) == [True, True]


def test_key_is_sent_after_a_redirect_back_to_the_service(
    home_server: Server, stranger: Server, tmp_path: Path
) -> None:
    home_server.answer = reply(b"video")
    stranger.answer = redirect(f"{home_server.url}/v.mp4")
    assert save(make_client(home_server, tmp_path), "doubao", stranger.url) == b"video"
    assert (check_requests_for_key(stranger), check_requests_for_key(home_server)) == ([False], [True])


@pytest.mark.parametrize(
    "spelling",
    [
        "http://{home}@{stranger}/",
        "http://{home}\\@{stranger}/",
        "http://{stranger}\\@{home}/",
        "http://{home}%40{stranger}/",
        "http://{home}#@{stranger}/",
        "http://{stranger}#@{home}/",
        "http:\\\\{stranger}/",
        "http:/{stranger}/",
        "http://{home}:80@{stranger}/",
        "HTTP://{stranger}/",
        "//{stranger}/",
        "http://user:password@{stranger}/",
        " http://{stranger}/",
        "http://{home}\t@{stranger}/",
        "http://{stranger}?{home}",
    ],
)
def test_key_is_not_sent_to_another_host_by_any_url_spelling(
    spelling: str, home_server: Server, stranger: Server, tmp_path: Path
) -> None:
    url = spelling.format(home=home_server.url[7:], stranger=stranger.url[7:])
    asking = make_client(home_server, tmp_path)
    home_server.answer = lambda request: redirect(url) if request.target == "/redirect" else reply(b"")
    for start in (url, f"{home_server.url}/redirect"):
        with suppress(VideostatError):
            save(asking, "reelbot", start)
    assert not any(check_requests_for_key(stranger))


def test_netrc_is_never_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, home_server: Server, stranger: Server, tmp_path: Path
) -> None:
    for name in (".netrc", "_netrc", "other"):
        (home / name).write_text("default login user password netrcpassword\n")
        (home / name).chmod(0o600)
    monkeypatch.setenv("NETRC", str(home / "other"))
    asking = make_client(home_server, tmp_path)
    with suppress(VideostatError):
        asking.look(Job(ref=JobRef("doubao", "a1")))
    for server in (home_server, stranger):
        save(asking, "doubao", f"{server.url}/v.mp4")
    assert [request.headers["authorization"] for request in home_server.requests] == [f"Bearer {KEY}"] * 2
    assert "authorization" not in stranger.requests[0].headers


def test_cookies_are_not_kept(home_server: Server, tmp_path: Path) -> None:
    home_server.answer = reply({}, headers={"Set-Cookie": "a=b; Path=/"})
    asking = make_client(home_server, tmp_path)
    for _ in range(2):
        with suppress(VideostatError):
            asking.look(Job(ref=JobRef("doubao", "a1")))
    assert "cookie" not in home_server.requests[1].headers


# ---- redirects


@pytest.mark.parametrize(
    ("base_url", "location", "hint"),
    [
        ("http://{}", "https://new.example/v2/job/1", '"https://new.example"'),
        ("http://{}/old", "https://new.example:8443/prefix/v2/job/1?a=b#c", '"https://new.example:8443/prefix"'),
        ("http://{}", "/new/v2/job/1", '"http://{}/new"'),
        ("http://{}", "//user:password@[::1]/v2/job/1", '"http://[::1]"'),
        ("http://{}", "https://new.example/login?next=/v2/job/1", None),
        ("http://{}", "/v2/job/1?again=1", None),
        ("http://{}", "javascript:alert(1)", None),
        ("http://{}", f"https://new.example/{KEY}/v2/job/1", None),
        ("http://{}", f"https://{KEY}.example/login", None),
    ],
)
def test_api_redirect_gives_a_hint_with_the_base_url_to_configure(
    home_server: Server, base_url: str, location: str, hint: str | None
) -> None:
    site = home_server.url[7:]
    home_server.answer = redirect(location)
    with pytest.raises(Untrusted) as raised:
        make().ask("GET", base_url.format(site), "/v2/job/1", {"x-api-key": KEY})
    assert KEY not in f"{raised.value} {raised.value.hint}"
    assert (raised.value.hint or "").partition("base_url = ")[2].partition(" in ")[0] == (hint or "").format(site)
    assert not {"password", "a=b", "next"} & set(f"{raised.value} {raised.value.hint}".replace("?", " ").split())


def test_api_redirect_from_https_to_http_gives_no_hint(trusted_tls: ssl.SSLContext) -> None:
    with Server(redirect("http://127.0.0.1/v2/job/1"), tls=trusted_tls) as server, pytest.raises(Untrusted) as raised:
        make().ask("GET", server.url, "/v2/job/1", {})
    assert raised.value.hint is None


LOCATIONS = [
    "http://[::1",
    "http://[::1]:99999/",
    "http://a:b:c/",
    "http://" + "a" * 70 + ".example/",
    "https://" + "a" * 70 + ".example/",
    "http://" + "a." * 200,
    "https://...",
    "https://",
    "http://\xff/",
    "http://*/",
    "//",
    "?",
    "#",
    "..",
    "\x7f",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "data:,video",
    "javascript:alert(1)",
    "mailto:a@b",
    "https://user:password@127.0.0.1:1/?signature=secret",
    "x" * 60_000,
]


@pytest.mark.parametrize("location", LOCATIONS, ids=ascii)
def test_unusual_location_raises_a_videostat_error(home_server: Server, location: str) -> None:
    home_server.answer = redirect(location)
    with pytest.raises(Untrusted):
        make().ask("GET", home_server.url, "/v2/job/1", {})
    with pytest.raises(VideostatError) as raised:
        make().open(home_server.url, {}, base_url=home_server.url, auth={})
    assert "password" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.slow
@given(location=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), min_size=1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_location_raises_a_videostat_error(home_server: Server, location: str) -> None:
    home_server.answer = redirect("http://" + location)
    with pytest.raises(Untrusted):
        make().ask("GET", home_server.url, "/v2/job/1", {})
    with pytest.raises(VideostatError):
        make().open(home_server.url, {}, base_url=home_server.url, auth={})


@pytest.mark.parametrize(
    "way", [lambda url: make().ask("GET", url, "/", {}), lambda url: make().open(url, {}, base_url=url, auth={})]
)
def test_the_body_of_a_redirect_is_not_read(home_server: Server, way: Callable[[str], object]) -> None:
    sent = 0

    def endless(_: Request) -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\nContent-Encoding: gzip\r\n\r\n"
        while True:
            yield b"\x1f\x8b" * 32768
            sent += 65536

    home_server.answer = endless
    with pytest.raises(Untrusted):
        way(home_server.url)
    # No more than fits into the buffers of the sockets.
    assert sent < 32 * A_MIB


def test_media_request_follows_at_most_ten_redirects(home_server: Server, tmp_path: Path) -> None:
    def step(request: Request) -> bytes:
        left = int(request.target[1:])
        return redirect(f"/{left - 1}") if left else reply(b"video")

    home_server.answer, asking = step, make_client(home_server, tmp_path)
    assert save(asking, "doubao", f"{home_server.url}/10") == b"video"
    with pytest.raises(Untrusted, match=r"more than 10 redirects, the last to 127\.0\.0\.1"):
        save(asking, "doubao", f"{home_server.url}/11")
    assert len(home_server.requests) == 22


# ---- addresses


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.0.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "fd00:ec2::254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255"),
        *("224.0.0.1", "239.1.1.1", "240.0.0.1", "198.18.0.1", "192.0.0.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "ff02::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:a00:1", "::127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
        *("2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ],
)
def test_private_address_is_recognised(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "223.255.255.254"),
        *("2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
    ],
)
def test_public_address_is_recognised(address: str) -> None:
    assert not is_private(address)


SPELLINGS = [
    *("127.0.0.1", "localhost", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0.0.0.0", "0"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "user:password@127.0.0.1"),
    *("169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "224.0.0.1"),
    *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "\u2460\u2461\u2466.0.0.1", "127\u30020.0.1"),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ascii)
def test_a_video_is_not_fetched_from_a_private_address(home_server: Server, neighbour: Server, spelling: str) -> None:
    url = f"https://{spelling}:{neighbour.port}/latest/meta-data?signature=secret"
    home_server.answer = redirect(url.encode().decode("latin-1"))
    for start in (url, home_server.url):
        with pytest.raises((Untrusted, NoConnection)) as raised:
            make().open(start, {}, base_url=home_server.url, auth={})
        assert "secret" not in str(raised.value)
        assert "password" not in str(raised.value)
        if spelling.isascii():
            assert isinstance(raised.value, Untrusted)
            assert "leads into a private network" in str(raised.value)
            assert "--allow-private" in str(raised.value.hint)
    assert neighbour.connections == 0


def make_resolver(*addresses: str) -> Callable[..., list[Any]]:
    """Make a resolver that gives these addresses for every name."""
    return lambda host, port, **_: [(2, 1, 6, "", (address, port)) for address in addresses]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::ffff:127.0.0.1", "8.8.8.8")])
def test_host_name_that_resolves_to_a_private_address_is_refused(neighbour: Server, addresses: tuple[str, ...]) -> None:
    with pytest.raises(Untrusted, match=r"the video's address, video\.example, leads into a private network"):
        make(resolve=make_resolver(*addresses)).open(
            f"https://video.example:{neighbour.port}/", {}, base_url="https://api.example", auth={}
        )
    assert neighbour.connections == 0


@pytest.fixture
def trusted_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """Make the TLS context of a server, with a trusted certificate for video.example and 127.0.0.1."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("video.example", "127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    return context


def test_checked_address_is_used_without_resolving_the_name_again(
    monkeypatch: pytest.MonkeyPatch, trusted_tls: ssl.SSLContext
) -> None:
    resolved, checked = list[str](), list[str]()

    def resolve_and_change(host: str, port: int, **_: object) -> list[Any]:
        resolved.append(host)
        return make_resolver("127.0.0.1" if len(resolved) == 1 else "127.0.0.2")(host, port)

    def record_check(address: str) -> bool:
        checked.append(address)
        return False

    monkeypatch.setattr(addresses, "is_private", record_check)
    with Server(reply(b"video"), tls=trusted_tls) as server:
        url = f"https://video.example:{server.port}/v.mp4"
        with make(resolve=resolve_and_change).open(url, {}, base_url="https://api.example", auth={}) as body:
            assert body.status == 200
        assert server.requests[0].headers["host"] == f"video.example:{server.port}"
    assert (resolved, checked) == (["video.example"], ["127.0.0.1"])


def test_next_address_is_tried_if_one_refuses_the_connection(neighbour: Server) -> None:
    reaching = make(resolve=make_resolver("127.0.0.3", "127.0.0.1"), allow_private=True)
    with reaching.open(f"http://video.example:{neighbour.port}/", {}, base_url="https://api.example", auth={}) as body:
        assert body.status == 200
    failing = make(resolve=make_resolver("127.0.0.3", "127.0.0.4"), allow_private=True)
    with pytest.raises(NoConnection, match=r"video\.example.* cannot be reached: Connection refused"):
        failing.open(f"http://video.example:{neighbour.port}/", {}, base_url="https://api.example", auth={})


def test_private_base_url_of_one_account_is_not_allowed_for_another(
    home_server: Server, trusted_tls: ssl.SSLContext
) -> None:
    asking = make()
    with Server(reply({}), tls=trusted_tls) as private:
        asking.ask("GET", private.url, "/", {})
        with asking.open(private.url, {}, base_url=private.url, auth={}) as body:
            assert body.status == 200
        with pytest.raises(Untrusted, match="private network"):
            asking.open(private.url, {}, base_url=home_server.url, auth={})
        assert private.connections == 1


def test_allow_private_permits_private_addresses(neighbour: Server, trusted_tls: ssl.SSLContext) -> None:
    asking = make(allow_private=True)
    with Server(reply(b"video"), tls=trusted_tls) as private:
        for server in (private, neighbour):
            with asking.open(server.url, {}, base_url="https://api.example", auth={}) as body:
                assert body.status == 200


@pytest.mark.parametrize(
    ("home", "other", "is_let_through"),
    [("198.18.0.7", "198.18.3.9", True), ("198.18.0.7", "10.0.0.1", False), ("93.184.216.34", "198.18.3.9", False)],
)
def test_made_up_address_is_allowed_only_if_the_service_has_one(home: str, other: str, *, is_let_through: bool) -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(None, None, None, None, (home if host == "api.example" else other, port))]

    def find() -> list[str]:
        return find_media_addresses(resolve, {"api.example"}, "https", "cdn.example", 443, allow_private=False)

    if is_let_through:
        assert find() == [other]
    else:
        with pytest.raises(Untrusted, match=r"cdn\.example, leads into"):
            find()


@pytest.mark.parametrize("allow_private", [False, True])
def test_plain_http_to_a_public_address_is_refused(*, allow_private: bool) -> None:
    asking = make(allow_private=allow_private, resolve=make_resolver("8.8.8.8"))
    with pytest.raises(Untrusted, match=r"the video is offered without encryption, at video\.example"):
        asking.open("http://video.example/v?signature=secret", {}, base_url="https://api.example", auth={})


def test_plain_http_to_a_private_address_is_refused_by_default(home_server: Server, neighbour: Server) -> None:
    home_server.answer = redirect(neighbour.url)
    for url in (neighbour.url, home_server.url):
        with pytest.raises(Untrusted, match=f"without encryption, at 127.0.0.1:{neighbour.port}"):
            make().open(url, {}, base_url=home_server.url, auth={})
    assert neighbour.connections == 0


def test_media_redirect_from_https_to_http_is_refused(home_server: Server, trusted_tls: ssl.SSLContext) -> None:
    with (
        Server(redirect(home_server.url), tls=trusted_tls) as server,
        pytest.raises(Untrusted, match="without encryption"),
    ):
        make(allow_private=True).open(server.url, {}, base_url=home_server.url, auth={})
    assert home_server.connections == 0


def test_proxy_replaces_the_address_check_but_http_is_still_refused(
    monkeypatch: pytest.MonkeyPatch, trusted_tls: ssl.SSLContext
) -> None:
    with Server(reply(b"video"), tls=trusted_tls) as server, Proxy({"video.example:443": server}) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        asking = make(allow_private=True, resolve=make_resolver("10.0.0.1"))
        with asking.open("https://video.example/", {}, base_url="https://api.example", auth={}) as body:
            assert body.status == 200
        # Behind a proxy, nobody can check that the address is private.
        with pytest.raises(Untrusted, match="without encryption"):
            asking.open("http://video.example/", {}, base_url="https://api.example", auth={})
    assert proxy.asked == ["CONNECT video.example:443"]


# ---- any bytes

words = st.sampled_from(
    [
        *(
            "status",
            "data",
            "code",
            "error",
            "message",
            "success",
            "SUCCESS",
            "completed",
            "queued",
            "projects",
            "details",
        ),
        *("project_id", "progress", "url", "video_url", "fail_reason", "result_url", "downloadUrl", "expiresAt"),
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | words
    | st.sampled_from(["https://[::1", "\ud800", "45%", "1e999", "2025-13-45", "0", 10**400, -(10**30), 1e308])
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=5), inner, max_size=6),
    max_leaves=12,
)
# Similar enough to real answers to reach every branch of a parse function.
likely_documents = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([0, "0", "success", 5001, "NOT_FOUND", "RATE_LIMITED"]) | scalars,
        "status": words | scalars,
        "data": st.dictionaries(words, scalars | documents, max_size=8) | documents,
        "error": documents,
        "message": scalars,
        "details": documents,
        "downloadUrl": scalars,
    },
)


def look_and_list(asking: Client, name: str) -> None:
    job = Job(ref=JobRef(name, "a1"))
    for look in (job, replace(job, state=State.SUCCEEDED, needs_url=True)):
        with suppress(VideostatError):
            assert isinstance(asking.look(look), Job)
    if PROVIDERS[name].listing:
        with suppress(VideostatError):
            asking.fetch_page(name, 1)


@every_provider
@given(
    document=likely_documents | documents,
    status=st.sampled_from([200, 200, 201, 302, 400, 401, 404, 429, 500, 599]),
    hint=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=30),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
def test_any_json_gives_a_job_or_a_videostat_error(
    *, home_server: Server, tmp_path: Path, name: str, document: object, status: int, hint: str
) -> None:
    headers = dict.fromkeys(("Retry-After", "X-RateLimit-Reset", "Content-Encoding"), hint)
    home_server.answer = reply(document, status, headers)
    look_and_list(make_client(home_server, tmp_path), name)


@pytest.mark.slow
@given(
    name=st.sampled_from([*PROVIDERS]),
    said=st.binary(max_size=200).map(reply)
    | st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest)
    | st.tuples(st.sampled_from([b"gzip", b"deflate", b"gzip, gzip", b"br", b"zstd"]), st.binary(max_size=99)).map(
        lambda parts: b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\n\r\n%b" % parts
    )
    | st.binary(max_size=99).map(lambda rest: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + rest),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[*HealthCheck])
def test_any_bytes_give_a_job_or_a_videostat_error(home_server: Server, tmp_path: Path, name: str, said: bytes) -> None:
    home_server.answer = lambda _: [said]
    asking = make_client(home_server, tmp_path)
    look_and_list(asking, name)
    with suppress(VideostatError):
        save(asking, name, home_server.url)


# ---- the trace


def make_traced_transport(server: Server, **options: Any) -> tuple[Transport, list[str]]:
    lines: list[str] = []
    return make(trace=lines.append, **options), lines


def test_each_request_and_answer_is_traced_in_one_line(home_server: Server) -> None:
    home_server.answer = reply({"status": "queued"}, headers={"X-Request-Id": "r1"})
    asking, lines = make_traced_transport(home_server)
    asking.ask("GET", home_server.url, "/job/1", {"x-api-key": KEY})
    asking.open(home_server.url, {"Range": "bytes=1-"}, base_url=home_server.url, auth={"x-api-key": KEY})
    assert [line.partition(" [")[0] for line in lines] == [
        f"> GET {home_server.url}/job/1",
        f"< 200 GET {home_server.url}/job/1",
        f"> GET {home_server.url}/",
        f"< 200 GET {home_server.url}/",
    ]
    assert "x-api-key: ***" in lines[0]
    assert "X-Request-Id: r1" in lines[1]
    assert lines[1].endswith('] {"status": "queued"}')
    assert "Range: bytes=1-" in lines[2]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"echo": KEY, "url": "https://user:password@h.example/v?X-Signature=secret"}).encode(),
        rb'{"url": "https:\/\/user:password@h.example\/v\u003fX-Signature=secret"}',
        b'<a href="https://user:password@h.example/v?X-Signature=secret&amp;a=secret">canary-key-0123456789</a>',
        b"\r\n\r\n\x1b[2J\xff https://h.example/v?X-Signature=secret",
        json.dumps("x" * 2040 + KEY).encode(),
    ],
)
def test_a_trace_has_no_secrets(home_server: Server, body: bytes) -> None:
    headers = {
        "Set-Cookie": "session=secret",
        "X-Echo": f"Bearer {KEY}",
        "X-Next": "https://user:password@h.example/?X-Signature=secret",
    }
    home_server.answer = reply(body, headers=headers)
    asking, lines = make_traced_transport(home_server)
    auth = {"Authorization": f"Bearer {KEY}"}
    asking.ask("POST", home_server.url, "/job/1", auth, body={"key": KEY})
    home_server.answer = redirect("https://user:password@127.0.0.1:1/?X-Signature=secret")
    with suppress(VideostatError):
        asking.open(home_server.url + "?X-Signature=secret", {}, base_url=home_server.url, auth=auth)
    with suppress(VideostatError):
        asking.ask("GET", home_server.url, "/job/1", auth)
    assert len(lines) == 7
    for line in lines:
        assert len(line.splitlines()) == 1
        for secret in ("secret", "password", "canary"):
            assert secret not in line


def test_trace_of_a_long_body_is_shortened(home_server: Server) -> None:
    home_server.answer = reply(["x" * 3 * A_MIB])
    asking, lines = make_traced_transport(home_server)
    asking.ask("GET", home_server.url, "/", {})
    assert 2000 < len(lines[1]) < 2500


def test_hostile_bodies_are_traced_within_the_test_timeout(home_server: Server) -> None:
    asking, lines = make_traced_transport(home_server)
    for hostile in (b"?", b"//", b"://a", b"@", b"//@", b"?="):
        home_server.answer = reply(hostile * (A_MIB // 4 // len(hostile)))
        asking.ask("GET", home_server.url, "/", {})
    assert len(lines) == 12


def test_lost_answer_adds_no_line_to_the_trace(home_server: Server) -> None:
    home_server.answer = lambda _: [b""]
    asking, lines = make_traced_transport(home_server)
    with pytest.raises(Unreachable):
        asking.ask("GET", home_server.url, "/", {})
    assert len(lines) == 1
