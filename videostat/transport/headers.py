"""Parse response headers."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_DELAY = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")  # fractions are allowed, but not all that float() reads
_UNIX_TIME, _MILLISECONDS = 1e9, 1e11  # larger numbers are Unix times, in seconds and in milliseconds
_LONGEST = 86400  # seconds; longer pauses are not credible


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Parse Retry-After (RFC 9110, 10.2.3) into seconds.

    Returns None if it is missing, malformed, in the past or more than a day away. A date is compared with the answer's
    own Date header, because the server's clock may be wrong; `now` is used without one. A huge number is a Unix time in
    seconds or milliseconds. Header names are in lower case.
    """
    now = _parse_date(headers.get("date", "")) or now
    value = headers.get("retry-after", "").strip()
    if _DELAY.fullmatch(value):
        seconds = float(value)
        if seconds >= _UNIX_TIME:
            seconds = (seconds / 1000 if seconds >= _MILLISECONDS else seconds) - now.timestamp()
    elif moment := _parse_date(value):
        seconds = (moment - now).total_seconds()
    else:
        return None
    return seconds if 0 <= seconds <= _LONGEST else None


def _parse_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
