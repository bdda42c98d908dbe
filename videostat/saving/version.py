"""Identify the version of a video from response headers: validator, length and digest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# RFC 9110, 8.8.3: a strong ETag has no W/ prefix. Only printable ASCII, because it is sent back in a header.
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_DATE = re.compile(r"[A-Za-z]{3}, [0-9]{2} [A-Za-z]{3} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
# RFC 9110, 8.8.2.2: a date is a strong validator only if it is older than the answer by this much.
_SETTLED_SECONDS = 60
_LENGTH = re.compile(r"\s*([0-9]{1,18})\s*(?:,\s*\1\s*)*")
_DIGEST = re.compile(r"(sha-512|sha-256|md5)=:?([A-Za-z0-9+/]{22,88}={0,2})", re.IGNORECASE)
_DIGEST_HEADERS = ("repr-digest", "content-digest", "digest", "x-goog-hash")
_HASHES = {"sha-512": "sha512", "sha-256": "sha256", "md5": "md5"}  # the strongest first
_NOTED_DIGEST = re.compile(r"(?:sha512|sha256|md5)=[0-9a-f]{32,128}")


@dataclass(frozen=True, slots=True)
class Version:
    """The version of the content at a URL. A download resumes only within one version.

    `validator`: the ETag or the Last-Modified date, "" if the server sent neither in a usable form.
    `total`: the length in bytes, None if unknown. `digest`: like "sha256=0f3a...", "" if unknown.
    """

    validator: str = ""
    total: int | None = None
    digest: str = ""

    @property
    def can_resume(self) -> bool:
        """Whether a later request can ask for the rest of this version."""
        return bool(self.validator and self.total)

    @property
    def header(self) -> str:
        """The name of the header that the validator comes from."""
        return "etag" if self.validator.startswith('"') else "last-modified"

    def matches_digest(self, fd: int) -> bool:
        """Return whether an open file has the digest that the server sent."""
        name, _, expected = self.digest.partition("=")
        with open(fd, "rb", closefd=False) as file:
            file.seek(0)
            found = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False))
        return found.hexdigest() == expected


def read_version(headers: Mapping[str, str]) -> Version:
    """Read the version from the response to a request for the whole video. Header names are in lower case."""
    return Version(_read_validator(headers), read_length(headers), _read_digest(headers))


def restore_version(note: Mapping[str, object]) -> Version:
    """Read a version from a side-car. Anybody may have written it, so values that are not valid are dropped."""
    match note:
        case {"validator": str(validator), "total": int(total)} if _STRONG_ETAG.fullmatch(validator) or _DATE.fullmatch(
            validator
        ):
            digest = str(note.get("digest") or "")
            return Version(validator, total, digest if _NOTED_DIGEST.fullmatch(digest) else "")
    return Version()


def read_length(headers: Mapping[str, str]) -> int | None:
    """Return Content-Length in bytes, None if it is missing or not valid (RFC 9110, 8.6)."""
    found = _LENGTH.fullmatch(headers.get("content-length", ""))
    return int(found[1]) if found else None


def _read_validator(headers: Mapping[str, str]) -> str:
    etag, changed = headers.get("etag", ""), headers.get("last-modified", "")
    if _STRONG_ETAG.fullmatch(etag):
        return etag
    try:
        age = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(changed)
    except (ValueError, TypeError, OverflowError):
        return ""
    return changed if _DATE.fullmatch(changed) and age.total_seconds() >= _SETTLED_SECONDS else ""


def _read_digest(headers: Mapping[str, str]) -> str:
    sent = {name.lower(): value for each in _DIGEST_HEADERS for name, value in _DIGEST.findall(headers.get(each, ""))}
    sent.setdefault("md5", headers.get("content-md5", "").strip())
    for name, hash_name in _HASHES.items():
        try:
            value = base64.b64decode(sent.get(name, ""), validate=True)
        except binascii.Error:
            continue
        if len(value) == hashlib.new(hash_name, usedforsecurity=False).digest_size:
            return f"{hash_name}={value.hex()}"
    return ""
