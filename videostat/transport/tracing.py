"""Requests and answers, one a line, for whoever looks for a fault; without what must stay secret."""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from videostat.transport.redaction import without_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BODY_CHARACTERS = 2048

# A library is silent unless the application asks: https://docs.python.org/3/howto/logging.html#library-config
LOG = logging.getLogger("videostat")
LOG.addHandler(logging.NullHandler())

_is_asking = ContextVar("is_asking", default=False)

_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization", "set-cookie"}
_USERINFO = re.compile(r"""(?<=//)[^\s/?#"'<>]*@""")
# Signatures live in queries. Two alternatives or a wider class would be quadratic in a hostile body's length.
_QUERY = re.compile(r"""[?#][^\s"'<>]+""")


def line(start: str, headers: Mapping[str, str], auth: Mapping[str, str], body: object = None) -> str:
    """Draw one line: `start` names the request; `auth` has the key; `body` is text, JSON as bytes, or decoded JSON."""
    secret = _SECRET_HEADERS | {name.lower() for name in auth}
    shown = ", ".join(f"{name}: {'***' if name.lower() in secret else value}" for name, value in headers.items())
    match body:
        case None:
            text = ""
        case str():
            text = body
        case bytes():
            text = body.decode()
        case _:
            text = json.dumps(body)
    start, shown, text = (_redacted(each, auth) for each in (start, shown, text))
    return " ".join(f"{start} [{shown}] {text[:BODY_CHARACTERS]}".split())


@contextmanager
def hide_queries() -> Iterator[None]:
    """Hide signatures in what urllib3 logs meanwhile, in this thread: at DEBUG it logs each URL whole."""
    before = _is_asking.set(True)
    try:
        yield
    finally:
        _is_asking.reset(before)


def _hide_queries_in(record: logging.LogRecord) -> bool:
    if _is_asking.get() and isinstance(record.args, tuple):
        record.args = tuple(_QUERY.sub("?***", each) if isinstance(each, str) else each for each in record.args)
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_hide_queries_in)


def make_printable(line: str) -> str:
    """Escape what would move the cursor or hide text in the terminal of the person who reads the log."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _redacted(text: str, auth: Mapping[str, str]) -> str:
    return _QUERY.sub("?***", _USERINFO.sub("", without_key(text, auth)))
