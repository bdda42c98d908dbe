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
_UNIX_TIME, _MILLISECONDS = 1e9, 1e11  # what is larger is a moment, and then one in milliseconds
_LONGEST = 86400  # seconds; nobody asks for more than a day


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that Retry-After asks for; None where it is malformed, past, over a day away or missing.

    RFC 9110, 10.2.3. A date is compared with the answer's own Date, `now` only where it has none: the server's clock
    may differ from ours. A huge number is a Unix time, in seconds or milliseconds. Header names are in lower case.
    """
    now = _date(headers.get("date", "")) or now
    value = headers.get("retry-after", "").strip()
    if _DELAY.fullmatch(value):
        seconds = float(value)
        if seconds >= _UNIX_TIME:
            seconds = (seconds / 1000 if seconds >= _MILLISECONDS else seconds) - now.timestamp()
    elif moment := _date(value):
        seconds = (moment - now).total_seconds()
    else:
        return None
    return seconds if 0 <= seconds <= _LONGEST else None


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
