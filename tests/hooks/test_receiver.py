"""The receiver on real sockets: how it answers honest senders and hostile requests."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import pytest

from videostat.errors import UsageError
from videostat.hooks import receiver as module
from videostat.hooks.address import Address, parse_address
from videostat.hooks.receiver import BODY_BYTES, CONNECTIONS, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.hooks.delivery import Delivery

PATH = "/hooks/k3JxT0p9QwEr7yUi"


class Response(NamedTuple):
    status: int
    body: bytes


@pytest.fixture
def deliveries() -> list[Delivery]:
    return []


@pytest.fixture
def receiver(deliveries: list[Delivery], monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.01)

    def hear(delivery: Delivery) -> bool:
        deliveries.append(delivery)
        return delivery.headers.get("x-forged") is None

    with Receiver(Address("127.0.0.1", 0, PATH), hear) as running:
        yield running


def ask(
    receiver: Receiver, path: str = PATH, body: bytes | None = b"{}", *, method: str = "POST", **headers: str
) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.address.port, timeout=5)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Response(answer.status, answer.read())
    finally:
        connection.close()


def connect(receiver: Receiver) -> socket.socket:
    return socket.create_connection(("127.0.0.1", receiver.address.port), timeout=10)


def send(receiver: Receiver, raw: bytes) -> bytes:
    """Send bytes and nothing more; return everything received until the connection ends."""
    with connect(receiver) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the receiver has already answered and closed the connection
        return b"".join(iter(lambda: connection.recv(65536), b""))


def post(*headers: str, path: str = PATH, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: h", *headers, "", ""]).encode() + body


def test_delivery_is_answered_204_and_passed_on_unchanged(receiver: Receiver, deliveries: list[Delivery]) -> None:
    body = b'{"data": {"project_id": "proj_abc123"}}'
    response = ask(receiver, f"{PATH}?job=proj_1", body, X_Webhook_Signature="ab")
    assert response == Response(204, b"")
    assert [(each.body, each.query, each.headers["x-webhook-signature"]) for each in deliveries] == [
        (body, "job=proj_1", "ab")
    ]


def test_rejected_delivery_is_answered_401(receiver: Receiver) -> None:
    assert ask(receiver, X_Forged="1") == Response(401, b"")


def test_options_get_and_head_are_answered_204_on_the_path_only(receiver: Receiver, deliveries: list[Delivery]) -> None:
    for method in ("OPTIONS", "GET", "HEAD"):
        assert ask(receiver, body=None, method=method) == Response(204, b"")
        assert ask(receiver, "/", None, method=method) == Response(404, b"")
    assert deliveries == []


# The request, and the status of the answer; None if the connection is closed without an answer.
HOSTILE = {
    "no length": (post(), 411),
    "in chunks": (post("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"), 411),
    "in chunks and with a length": (post("Transfer-Encoding: chunked", "Content-Length: 2", body=b"{}"), 400),
    "two lengths": (post("Content-Length: 2", "Content-Length: 3", body=b"{}"), 400),
    "two lengths that agree": (post("Content-Length: 2", "Content-Length: 2", body=b"{}"), 400),
    "two lengths in one line": (post("Content-Length: 2, 2", body=b"{}"), 400),
    "a negative length": (post("Content-Length: -1", body=b"{}"), 400),
    "a signed length": (post("Content-Length: +2", body=b"{}"), 400),
    "a length with an underscore": (post("Content-Length: 1_0", body=b"{}"), 400),
    "a length that is no number": (post("Content-Length: two", body=b"{}"), 400),
    "a length of many digits": (post("Content-Length: " + "9" * 5000), 400),
    "a gigabyte announced": (post("Content-Length: 1000000000", body=b"{}"), 413),
    "one byte too many": (post(f"Content-Length: {BODY_BYTES + 1}", body=b"x" * (BODY_BYTES + 1)), 413),
    "a large body that is not wanted": (post("Content-Length: 2000000", body=b"x" * 2_000_000), 413),
    "a body shorter than announced": (post("Content-Length: 100", body=b"{}"), None),
    "another path": (post("Content-Length: 2", path="/", body=b"{}"), 404),
    "the path and more": (post("Content-Length: 2", path=f"{PATH}/", body=b"{}"), 404),
    "the path less a letter": (post("Content-Length: 2", path=PATH[:-1], body=b"{}"), 404),
    "the path with two slashes": (post("Content-Length: 2", path=f"/{PATH}", body=b"{}"), 404),
    "the path in other letters": (post("Content-Length: 2", path=PATH.upper(), body=b"{}"), 404),
    "the path with an escape": (post("Content-Length: 2", path=PATH.replace("k", "%6b"), body=b"{}"), 404),
    "a path that is not ASCII": (post("Content-Length: 2", path="/h\u00f6\u00f6ks\u4e2d", body=b"{}"), 404),
    "a proxy's form": (post("Content-Length: 2", path=f"http://h{PATH}", body=b"{}"), 404),
    "another method": (post("Content-Length: 2").replace(b"POST", b"PUT"), 501),
    "a method that is no word": (post().replace(b"POST", b"__init__"), 501),
    "another version": (post().replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
    "a version that is none": (post().replace(b"HTTP/1.1", b"HTTP/\xff"), 400),
    "HTTP/0.9": (b"GET /\r\n", 404),
    "an empty line": (b"\r\n\r\n", None),
    "nothing": (b"", None),
    "a hundred headers and one": (post(*(f"X-{n}: 1" for n in range(101))), 431),
    "six megabytes of headers": (post(*(f"X-{n}: {'x' * 60_000}" for n in range(99))), 431),
    "a header of a megabyte": (post("X: " + "x" * 1_000_000), 431),
    "a first line of a megabyte": (b"POST /" + b"x" * 1_000_000, 414),
    "a head and a body that are too much together": (
        post(*(f"X-{n}: {'x' * 50_000}" for n in range(2)), f"Content-Length: {BODY_BYTES}", body=b" " * BODY_BYTES),
        431,
    ),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2 + b"\n", 400),
    "zeros": (bytes(100_000), 414),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_request_is_refused_at_once_and_not_passed_on(
    receiver: Receiver, deliveries: list[Delivery], what: str
) -> None:
    raw, status = HOSTILE[what]
    began = time.monotonic()
    response = send(receiver, raw)
    assert time.monotonic() - began < 2
    assert (int(response.split(b" ", 2)[1]) if response else None) == status
    assert b"\r\n\r\n" not in response[:-4], "no page that repeats what was sent"
    assert deliveries == []
    assert ask(receiver).status == 204


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * BODY_BYTES, b"9" * 5000, b"\xff\xfe", b"null", b'{"a": "\xed\xa0\x80"}', b"x" * BODY_BYTES],
)
def test_any_body_is_accepted_even_if_it_is_not_json(
    receiver: Receiver, deliveries: list[Delivery], body: bytes
) -> None:
    assert ask(receiver, body=body).status == 204
    assert [each.body for each in deliveries] == [body]


def test_expect_100_continue_is_answered_100_or_413(receiver: Receiver, deliveries: list[Delivery]) -> None:
    expect = "Expect: 100-continue"
    with connect(receiver) as connection:
        connection.sendall(post("Content-Length: 2", expect))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert send(receiver, post("Content-Length: 1000000", expect)).startswith(b"HTTP/1.1 413 ")
    assert len(deliveries) == 1


def test_answer_contains_neither_python_nor_the_path(receiver: Receiver) -> None:
    response = send(receiver, post("Content-Length: 2", body=b"{}")) + send(receiver, post("Content-Length: x"))
    assert b"ython" not in response
    assert PATH.encode() not in response


def _send_slowly(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.slow
def test_slow_request_is_closed_when_its_time_is_over(
    receiver: Receiver, deliveries: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.5)
    starts = {
        "silence": b"",
        "a line": b"POST ",
        "headers": post()[:-2],
        "a body": post("Content-Length: 60000"),
        "after the answer": post("Content-Length: x"),
    }
    for what, start in starts.items():
        with connect(receiver) as connection:
            began = time.monotonic()
            connection.sendall(start)
            with pytest.raises(ConnectionError):
                _send_slowly(connection)
            assert 0.3 < time.monotonic() - began < 1.5, what
    assert deliveries == []


def open_slow_connections(receiver: Receiver, number: int) -> list[socket.socket]:
    connections = [connect(receiver) for _ in range(number)]
    for each in connections:
        each.sendall(b"POST /")
    return connections


@pytest.mark.slow
def test_200_slow_connections_do_not_delay_deliveries(receiver: Receiver, deliveries: list[Delivery]) -> None:
    with ExitStack() as stack:
        for each in open_slow_connections(receiver, 200):
            stack.enter_context(each)
        durations = []
        for _ in range(50):
            began = time.monotonic()
            assert ask(receiver).status == 204
            durations.append(time.monotonic() - began)
    assert len(deliveries) == 50
    assert sorted(durations)[25] < 0.1


@pytest.mark.slow
def test_oldest_connection_is_closed_when_there_are_too_many(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that no connection is closed because its time is over.
    monkeypatch.setattr(module, "REQUEST_SECONDS", 60)
    before = threading.active_count()
    with ExitStack() as stack:
        first, *_ = [stack.enter_context(each) for each in open_slow_connections(receiver, CONNECTIONS)]
        assert ask(receiver).status == 204
        assert first.recv(1) == b""
        for each in open_slow_connections(receiver, 100):
            stack.enter_context(each)
        assert ask(receiver).status == 204
        ends = time.monotonic() + 4
        while threading.active_count() - before > CONNECTIONS + 1 and time.monotonic() < ends:
            time.sleep(0.01)
        assert threading.active_count() - before <= CONNECTIONS + 1


def test_200_deliveries_at_once_are_all_accepted(receiver: Receiver, deliveries: list[Delivery]) -> None:
    statuses: list[int] = []

    def deliver(number: int) -> None:
        statuses.append(ask(receiver, body=json.dumps({"id": f"job-{number}"}).encode()).status)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(200)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert statuses == [204] * 200
    assert len({each.body for each in deliveries}) == 200


def test_server_continues_after_a_thread_could_not_start(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(ConnectionError):
            ask(receiver)
    assert ask(receiver).status == 204


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_exception_in_hear_is_shown_and_the_server_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: SimpleQueue[object] = SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.put(args.exc_type))

    def hear(delivery: Delivery) -> bool:
        if delivery.body:
            raise KeyError
        return True

    with Receiver(Address("127.0.0.1", 0, PATH), hear) as receiver:
        with pytest.raises(ConnectionError):
            ask(receiver)
        assert ask(receiver, body=b"").status == 204
    assert seen.get(timeout=10) is KeyError
    assert seen.empty()


def test_healthz_is_answered_only_if_a_health_check_is_given(receiver: Receiver) -> None:
    assert ask(receiver, "/healthz", None, method="GET").status == 404
    health_results = [True, False]
    with Receiver(Address("127.0.0.1", 0, PATH), lambda _: True, lambda: health_results.pop(0)) as other:
        assert ask(other, "/healthz", None, method="GET").status == 200
        assert ask(other, "/healthz", None, method="GET").status == 503
        assert ask(other, "/healthz").status == 404


def test_unusable_address_gives_one_sentence(receiver: Receiver) -> None:
    taken = parse_address(f"{receiver.address.port}")
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1, port {taken.port}: .*in use"):
        Receiver(taken, lambda _: True)
    for host in ("no-such-host.invalid", "x" * 70, "192.0.2.1"):
        with pytest.raises(UsageError, match=f"cannot listen on {host}, port 0: "):
            Receiver(Address(host, 0, PATH), lambda _: True)


def test_receiver_listens_on_ipv6() -> None:
    with Receiver(parse_address(f"[::1]:0{PATH}"), lambda _: True) as receiver:
        connection = http.client.HTTPConnection("::1", receiver.address.port, timeout=5)
        connection.request("POST", PATH, b"{}")
        assert connection.getresponse().status == 204
        connection.close()
