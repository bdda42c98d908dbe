"""Read from an answer's headers which version of a video it is of, how long that is, and its digest."""

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

# RFC 9110, 8.8.3: no W/ before it; printable ASCII alone, because it goes back into a header.
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_DATE = re.compile(r"[A-Za-z]{3}, [0-9]{2} [A-Za-z]{3} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
# RFC 9110, 8.8.2.2: a file that was changed this long before the answer has not been changed twice in one second.
_SETTLED_SECONDS = 60
_LENGTH = re.compile(r"\s*([0-9]{1,18})\s*(?:,\s*\1\s*)*")
_DIGEST = re.compile(r"(sha-512|sha-256|md5)=:?([A-Za-z0-9+/]{22,88}={0,2})", re.IGNORECASE)
_DIGEST_HEADERS = ("repr-digest", "content-digest", "digest", "x-goog-hash")
_HASHES = {"sha-512": "sha512", "sha-256": "sha256", "md5": "md5"}  # the best comes first
_NOTED_DIGEST = re.compile(r"(?:sha512|sha256|md5)=[0-9a-f]{32,128}")


@dataclass(frozen=True, slots=True)
class Version:
    """Which of the contents a URL has had: only bytes of one version make a video.

    `validator`: an ETag, or a date of Last-Modified; "" where the server offers nothing that a later request could ask
    to go on from. `total` in bytes, None where it does not say. `digest`: the hash's name and hexadecimal value, or "".
    """

    validator: str = ""
    total: int | None = None
    digest: str = ""

    @property
    def can_resume(self) -> bool:
        return bool(self.validator and self.total)

    @property
    def header(self) -> str:
        """Name the header that bears the validator."""
        return "etag" if self.validator.startswith('"') else "last-modified"

    def digest_fits(self, fd: int) -> bool:
        """Tell whether a file's bytes have the digest that the server gave."""
        name, _, expected = self.digest.partition("=")
        with open(fd, "rb", closefd=False) as file:
            file.seek(0)
            found = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False))
        return found.hexdigest() == expected


def read_version(headers: Mapping[str, str]) -> Version:
    """Read what the answer to a request for the whole video says of it; names in lower case."""
    return Version(_read_validator(headers), read_length(headers), _read_digest(headers))


def restore_version(note: Mapping[str, object]) -> Version:
    """Read what `Version` holds out of a side-car that anybody may have written; what does not fit is left out."""
    match note:
        case {"validator": str(validator), "total": int(total)} if _STRONG_ETAG.fullmatch(validator) or _DATE.fullmatch(
            validator
        ):
            digest = str(note.get("digest") or "")
            return Version(validator, total, digest if _NOTED_DIGEST.fullmatch(digest) else "")
    return Version()


def read_length(headers: Mapping[str, str]) -> int | None:
    """Return the announced length; None where there is none, or none that RFC 9110, 8.6 allows."""
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
    told = {name.lower(): value for each in _DIGEST_HEADERS for name, value in _DIGEST.findall(headers.get(each, ""))}
    told.setdefault("md5", headers.get("content-md5", "").strip())
    for name, hash_name in _HASHES.items():
        try:
            value = base64.b64decode(told.get(name, ""), validate=True)
        except binascii.Error:
            continue
        if len(value) == hashlib.new(hash_name, usedforsecurity=False).digest_size:
            return f"{hash_name}={value.hex()}"
    return ""
