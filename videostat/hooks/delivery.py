"""Read a delivery: who can have signed it, and which strings it holds. Pure functions."""

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

# A service's delivery has some twenty strings; more only keep us busy.
MOST_STRINGS = 1000
# Shorter ids occur in deliveries that mean something else: a status, a date, a counter.
LEAST_ID = 8


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in by the secret path: header names in lower case, the body as it was sent."""

    headers: Mapping[str, str]
    body: bytes
    query: str = ""

    @property
    def content(self) -> object:
        """The body's JSON; None where it has none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def sign(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of the raw body in lower-case hexadecimal digits.

    https://docs.jogg.ai/api-reference/v2/API%20Documentation/WebhookIntegration
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def find_senders(delivery: Delivery, locks: Mapping[str, tuple[str | None, str | None]]) -> set[str]:
    """Return the accounts that can have sent this: those without a secret, and those whose secret signed it.

    `locks`: each account's signature header in lower case and its secret. Empty: nobody we know has sent it.
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
    """Return those of the ids that are a string in the delivery's JSON or query, each once.

    What the field is called does not matter: that differs between services, and between one service's versions.
    """
    found = dict.fromkeys(islice(_strings(delivery), MOST_STRINGS))
    return [text for text in found if len(text) >= LEAST_ID and text in ids]


def _strings(delivery: Delivery) -> Iterator[str]:
    """Yield the values of the query, then the strings of the JSON, those nearest to its root first."""
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
