"""HTTP requests and replies, and the text and time formats in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A received request. `path` and `query` are decoded; header names are in lower case."""

    at: datetime
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to send. With `cut_at`, the connection is closed after that many bytes of the body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    bytes_per_second: int | None = None


def reply_json(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    """Reply with a JSON value."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def reply_page(status: int, title: str) -> Reply:
    """Reply with a short HTML page."""
    text = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Reply(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def to_iso(time: datetime, timespec: str = "seconds") -> str:
    """Write a time as 2026-03-01T12:00:00Z."""
    return time.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def to_unix(time: datetime) -> int:
    """Convert a time to whole seconds since 1970."""
    return int(time.timestamp())
