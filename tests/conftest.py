"""Fixtures of all tests: an empty home, simulated services, and the command line in this process."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import count
from random import SystemRandom
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import trustme
from fakes import Patient
from loopback import Server
from typer.main import get_command

from videostat import commands
from videostat.providers import PROVIDERS
from videostat.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from loopback import AnswerTo, Reply

    from videostat.clock import Clock

# Environment variables that would change the tests, besides VIDEOSTAT_* and the key variables of the services.
_FOREIGN = {
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "curl_ca_bundle", "requests_ca_bundle", "ssl_cert_file"),
    "ssl_cert_dir",
    *("no_color", "force_color", "tty_compatible", "tty_interactive", "github_actions", "github_step_summary"),
    *("ci", "jpy_parent_pid"),
}


def pytest_xdist_auto_num_workers() -> int:
    """Use two workers a core: many tests wait half of their time for processes, servers and disks."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in count())


@pytest.fixture(autouse=True)
def home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty home, and an environment in which nothing is configured."""
    folder = next(_homes)
    folder.mkdir()
    theirs = {provider.key_variable for provider in PROVIDERS.values()}
    for name in list(os.environ):
        if name.startswith(("VIDEOSTAT_", "XDG_")) or name in theirs or name.lower() in _FOREIGN:
            monkeypatch.delenv(name)
    for name, value in (("HOME", str(folder)), ("TERM", "xterm-256color"), ("COLUMNS", "100"), ("LINES", "24")):
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def speed() -> float:
    """Return how many times faster than real time the services and the commands run."""
    return 100


@pytest.fixture
def clock(speed: float, monkeypatch: pytest.MonkeyPatch) -> Clock:
    from videostat.transport import Transport

    clock = Patient(speed)
    for name in ("ask", "open"):
        monkeypatch.setattr(Transport, name, clock.awaiting(getattr(Transport, name)))
    return clock


@pytest.fixture
def port() -> int:
    """Return a port on which no server listens. A server on port 0 does not get it: systems hand out higher ones."""
    for number in SystemRandom().sample(range(20_000, 32_000), 100):
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", number))):
            return number
    pytest.fail("no port is free")


@pytest.fixture
def behaviour() -> Mapping[str, Any]:
    """Return the options of the sandbox."""
    return {}


@pytest.fixture(scope="session")
def _stopping() -> Iterator[list[Thread]]:
    threads: list[Thread] = []
    yield threads
    for thread in threads:
        thread.join()


@pytest.fixture
def sandbox(
    clock: Clock, behaviour: Mapping[str, Any], _stopping: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """Start the simulated services, and point the commands at them by the environment."""
    running = Sandbox(clock=clock, **behaviour).start()
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    yield running
    # Stopping takes some time; the next test does not wait for it.
    _stopping.append(Thread(target=running.stop))
    _stopping[-1].start()
    assert not running.errors


@pytest.fixture
def no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the history off in tests of something else: each transaction waits for the disk."""
    monkeypatch.setenv("VIDEOSTAT_NO_HISTORY", "1")


@dataclass(frozen=True)
class Result:
    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    @property
    def rows(self) -> list[list[str]]:
        """Return the fields of the tab-separated lines."""
        return [line.split("\t") for line in self.lines]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Return the objects of the JSON lines."""
        return [json.loads(line) for line in self.lines]


class Videostat(Protocol):
    """Run the command line. `tty`: which of stdin, stdout and stderr are terminals; a stdin of None is closed."""

    def __call__(self, *argv: str | Path, stdin: str | bytes | None = "", tty: Collection[str] = ()) -> Result: ...


class Instead(Protocol):
    """Replace the service of an account by a server that answers so."""

    def __call__(self, account: str, answer: AnswerTo | Reply) -> Server: ...


class _Stream(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", *, is_tty: bool) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", newline=None)
        self._is_tty = is_tty

    def isatty(self) -> bool:
        return self._is_tty

    def written(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@pytest.fixture(scope="session")
def _app() -> Callable[..., object]:
    """Build the commands once: Typer builds them at each call, which takes longer than most of these tests."""
    # Import requests here, so that the first look of the first test is not slow.
    import_module("videostat.transport")
    return partial(get_command(commands.app), prog_name="videostat")


@pytest.fixture
def videostat(
    sandbox: Sandbox, clock: Clock, tmp_path: Path, _app: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> Videostat:
    """Return the command line, run in `tmp_path` and with the clock of the sandbox."""
    monkeypatch.setattr(commands, "app", _app)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("videostat.cli.session.Clock", lambda: clock)

    def run(*argv: str | Path, stdin: str | bytes | None = "", tty: Collection[str] = ()) -> Result:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = (_Stream(is_tty=name in tty) for name in ("stdout", "stderr"))
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["videostat", *map(str, argv)])
            patched.setattr(sys, "stdin", None if given is None else _Stream(given, is_tty="stdin" in tty))
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            code = commands._run()
        return Result(int(code), out.written(), err.written())

    return run


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(answer: AnswerTo | Reply, **options: Any) -> Server:
            return stack.enter_context(Server(answer, **options))

        yield start


@pytest.fixture
def instead(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Instead:
    def start(account: str, answer: AnswerTo | Reply) -> Server:
        server = serve(answer)
        monkeypatch.setenv(f"VIDEOSTAT_{account.upper()}_BASE_URL", server.url)
        return server

    return start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """Write a file with the certificate of the authority that signs the certificates of the servers."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)
