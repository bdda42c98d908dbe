"""Requests and answers, one a line, for whoever looks for a fault; without what must stay secret."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from videostat.transport.redaction import without_key

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_CHARACTERS = 2048

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


def _redacted(text: str, auth: Mapping[str, str]) -> str:
    return _QUERY.sub("?***", _USERINFO.sub("", without_key(text, auth)))
