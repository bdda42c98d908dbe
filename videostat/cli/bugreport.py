"""Collect the facts that `videostat config check --verbose` prints. No keys, and no name of a home folder."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from contextlib import closing
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from videostat import __version__
from videostat.client import Client
from videostat.errors import ExitCode, KeyMissing, VideostatError
from videostat.history import History, Which, locate_history
from videostat.render.messages import say
from videostat.transport import Transport

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from videostat.cli.session import Session
    from videostat.providers.base import Answer

LIBRARIES = ("typer", "rich", "requests", "urllib3", "platformdirs", "tomli-w")

Facts = dict[str, "dict[str, object]"]


class _RecordingTransport(Transport):
    """A transport that keeps its last answer, to read the date in it."""

    answer: Answer | None = None

    def ask(self, *args: Any, **named: Any) -> Answer:
        self.answer = None
        self.answer = super().ask(*args, **named)
        return self.answer


def describe(session: Session, accounts: list[str]) -> tuple[Facts, list[ExitCode]]:
    """Return the sections of the report and the accounts' exit codes.

    Sends one request for each account that has a key.
    """
    codes = []
    facts: Facts = {"versions": _collect_versions(), "files": _collect_files(session)}
    for name in accounts:
        facts[name], code = _check_account(session, name)
        if code is not None:
            codes.append(code)
    facts["history"] = _count_jobs()
    facts["terminal"] = _describe_terminal()
    return facts, codes


def shorten(path: Path | str) -> str:
    """Replace the home folder, which names a person, by `~`."""
    home, text = os.path.expanduser("~"), str(path)  # noqa: PTH111 - Path.home() raises without one
    return f"~{text.removeprefix(home)}" if len(home) > 1 and text.startswith(home) else text


def _collect_versions() -> dict[str, object]:
    found: dict[str, object] = {
        "videostat": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": shorten(sys.executable),
        "system": platform.platform(),
    }
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    others = sorted({*packages_distributions().get("urllib3", [])} - {"urllib3"})
    if others:
        found["warning"] = f"urllib3 is provided by {' and '.join(others)}: videostat is not tested with that"
    return found


def _collect_files(session: Session) -> dict[str, object]:
    settings = session.settings
    named = {"config": settings.path, "credentials": settings.credentials_path, "history": locate_history()}
    return {name: f"{shorten(path)} ({_describe_file(path)})" for name, path in named.items()}


def _describe_file(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return "not there"
    except OSError as error:
        return str(error.strerror)
    return f"{stat.filemode(status.st_mode)}, {status.st_size:,} bytes"


def _check_account(session: Session, name: str) -> tuple[dict[str, object], ExitCode | None]:
    settings = session.settings
    source = next(
        value.source if value.value else None
        for value in settings.list_values()
        if (value.account, value.key) == (name, "api_key")
    )
    base_url = settings.get_base_url(name)
    facts: dict[str, object] = {"key": source and shorten(source), "base_url": base_url}
    if not source or not base_url:
        return facts, None
    facts["proxy"] = _find_proxy(base_url)
    transport = _RecordingTransport(session.clock.now)
    began, code = monotonic(), ExitCode.OK
    try:
        Client(settings, transport).check(name)
    except KeyMissing as error:
        return facts | {"error": str(error)}, error.exit_code
    except VideostatError as error:
        facts["error"], code = str(error), error.exit_code
    facts["seconds"] = round(monotonic() - began, 3)
    facts["works"] = code is ExitCode.OK
    if answer := transport.answer:
        facts["certificate"] = "trusted" if base_url.startswith("https:") else "none: not encrypted"
        facts["clock_difference"] = _compare_clocks(answer)
    return facts, code


def _compare_clocks(answer: Answer) -> float | None:
    """Return how many seconds our clock is ahead of the service's."""
    try:
        return round((answer.received_at - parsedate_to_datetime(answer.headers["date"])).total_seconds(), 1)
    except (KeyError, ValueError, TypeError):
        return None


def _find_proxy(base_url: str) -> str | None:
    """Return the proxy for this URL, without its password; None if no proxy is used."""
    there = urlsplit(base_url)
    if not there.hostname or proxy_bypass(there.hostname):
        return None
    proxies = getproxies()
    found = urlsplit(proxies.get(there.scheme) or proxies.get("all") or "")
    return f"{found.scheme}://{found.hostname}:{found.port}" if found.hostname else None


def _count_jobs() -> dict[str, object]:
    try:
        with closing(History(locate_history(), warn=say)) as history:
            return {
                "jobs": sum(1 for _ in history.find_jobs()),
                "unfinished": sum(1 for _ in history.find_jobs(which=Which.UNFINISHED)),
            }
    except VideostatError as error:
        return {"error": shorten(str(error))}


def _describe_terminal() -> dict[str, object]:
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    columns, rows = shutil.get_terminal_size()
    return {
        **{name: "terminal" if stream and stream.isatty() else "no terminal" for name, stream in streams.items()},
        "encoding": sys.stdout.encoding,
        "size": f"{columns} x {rows}",
        **{name: os.environ.get(name) for name in ("TERM", "LANG", "LC_ALL", "TZ", "CI", "NO_COLOR", "FORCE_COLOR")},
    }
