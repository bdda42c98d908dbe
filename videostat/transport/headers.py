"""Read what an answer's headers ask of us."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_DELAY = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")  # and fractions; not all that float() reads


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds from `now` that Retry-After asks for; None where it is malformed, past or missing.

    RFC 9110, 10.2.3. Header names are in lower case.
    """
    value = headers.get("retry-after", "").strip()
    if _DELAY.fullmatch(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds() if moment >= now else None
