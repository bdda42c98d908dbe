"""Format requests and answers for --debug and logging, one per line, with secrets removed."""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from videostat.transport.redaction import redact_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BODY_CHARACTERS = 2048

# Stay silent unless the application configures logging: https://docs.python.org/3/howto/logging.html#library-config
LOG = logging.getLogger("videostat")
LOG.addHandler(logging.NullHandler())

_is_asking = ContextVar("is_asking", default=False)

_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization", "set-cookie"}
_USERINFO = re.compile(r"""(?<=//)[^\s/?#"'<>]*@""")
# Signatures are in queries. A more general pattern would take quadratic time on a hostile body.
_QUERY = re.compile(r"""[?#][^\s"'<>]+""")


def format_line(start: str, headers: Mapping[str, str], auth: Mapping[str, str], body: object = None) -> str:
    """Format one line of the trace, without secrets.

    `start` names the request. `auth` contains the key. `body` is a text, JSON as bytes, or decoded JSON.
    """
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
    start, shown, text = (
        _QUERY.sub("?***", _USERINFO.sub("", redact_key(each, auth))) for each in (start, shown, text)
    )
    return " ".join(f"{start} [{shown}] {text[:BODY_CHARACTERS]}".split())


@contextmanager
def hide_queries() -> Iterator[None]:
    """Hide URL queries in the log lines of urllib3, in this thread."""
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
    """Escape characters that could move the cursor or hide text."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
