"""Reads the times in a SQLite store, in all forms that SQLite's functions read.

A person may INSERT times in these forms.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[\sT]*"
    r"(?:(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?\s*(?:([+-])(\d\d):(\d\d)|[zZ])?\s*)?",
    re.ASCII,
)


def stored_time(text: str) -> datetime:
    """Read a time of a SQLite store.

    Return an aware datetime if the text has an offset from UTC, else a naive datetime. A time
    before the year 1 is read as `EARLIEST`, a time after the year 9999 as `LATEST`.

    >>> stored_time("2026-12-24 24:00:00")
    datetime.datetime(2026, 12, 25, 0, 0)

    Raises:
        ValueError: neither Python nor SQLite reads the text as a time.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if year == 0:
        return EARLIEST
    sign, hours, minutes = found.groups()[7:]
    shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-shift if sign == "-" else shift) if sign else None
    micro = int((found[7] or "")[:6].ljust(6, "0"))
    begin = datetime(year, month, day, tzinfo=zone)
    try:
        return begin + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)
    except OverflowError:
        return LATEST
