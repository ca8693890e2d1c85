"""Reads times that people give to commands and requests: a time, or a duration before now."""

import re
from datetime import UTC, datetime

from aemon.clock import parse_duration, shortened
from aemon.errors import QueryError
from aemon.times.stored_times import EARLIEST, LATEST

_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")
"""The space in `2026-01-31T12:00:00 01:00`, which was `+` before a URL was decoded."""


def given_time(text: str, now: datetime) -> datetime:
    """Return the time that a text means, aware and in UTC; a time without a zone is UTC.

    >>> now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    >>> given_time("2026-01-31T12:00+01:00", now).isoformat()
    '2026-01-31T11:00:00+00:00'
    >>> given_time("2h", now).isoformat()
    '2026-01-31T10:00:00+00:00'

    Args:
        text: an ISO 8601 time or date, or a duration: `15m` means 15 minutes before `now`.
        now: the present time.

    Raises:
        QueryError: the text is neither a time nor a duration.
    """
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    written = text.strip()
    if "T" in written:
        written = _LOST_PLUS.sub("+", written)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise QueryError(
            f"{shortened(text)} is neither a duration such as 15m or 7d nor a time such as "
            "2026-01-31T12:00",
            todo="write the time in the form of ISO 8601; a time without a zone is UTC",
        ) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        utc = aware.astimezone(UTC)
    except OverflowError:
        utc = EARLIEST if moment.year == 1 else LATEST
    return min(max(utc, EARLIEST), LATEST)
