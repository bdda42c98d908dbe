"""Check the signature of a delivery and find the ids in it. Pure functions."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# A normal delivery has about 20 strings. The limit protects against huge ones.
MOST_STRINGS = 1000
# Shorter texts in a delivery may be a status, a date or a counter instead of an id.
LEAST_ID = 8


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to the secret path. Header names are in lower case; the body is raw."""

    headers: Mapping[str, str]
    body: bytes
    query: str = ""

    @property
    def content(self) -> object:
        """The decoded JSON of the body, None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def sign(secret: str, body: bytes) -> str:
    """Sign a raw body with HMAC-SHA256, in lower-case hexadecimal digits.

    https://docs.jogg.ai/api-reference/v2/API%20Documentation/WebhookIntegration
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def find_senders(delivery: Delivery, locks: Mapping[str, tuple[str | None, str | None]]) -> set[str]:
    """Return the accounts that can have sent a delivery.

    These have no secret, or their signature matches. `locks`: the signature header (in lower case) and the secret of
    each account.
    """
    return {
        account
        for account, (header, secret) in locks.items()
        if secret is None
        or header is None
        or hmac.compare_digest(
            sign(secret, delivery.body).encode(), delivery.headers.get(header, "").encode("utf-8", "replace")
        )
    }


def find_ids(delivery: Delivery, ids: Collection[str]) -> list[str]:
    """Find the ids among the strings of a delivery's JSON or query.

    The names of the fields do not matter, because they differ between services and versions.
    """
    found = dict.fromkeys(islice(_iter_strings(delivery), MOST_STRINGS))
    return [text for text in found if len(text) >= LEAST_ID and text in ids]


def _iter_strings(delivery: Delivery) -> Iterator[str]:
    """Yield the strings of the query and of the JSON, outermost first."""
    yield from (value for _, value in parse_qsl(delivery.query, max_num_fields=None))
    level: deque[object] = deque([delivery.content])
    while level:
        value = level.popleft()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            level.extend(value.values())
        elif isinstance(value, list):
            level.extend(value)
