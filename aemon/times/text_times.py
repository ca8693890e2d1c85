"""Reads times in common forms of text: 17.11.2025, 11/17/2025 1:00 PM, 17-Nov-25."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ORDERS = ("dmy", "mdy", "ymd")
"""The orders that day (d), month (m) and year (y) may have in a date of three numbers."""

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_CENTURY = 100
_NEXT_CENTURY = 69  # 69 to 99 are years of the 20th century, 0 to 68 of the 21st, as in POSIX
_MOST_MONTHS, _MOST_DAYS, _NOON, _MIDNIGHT_AFTER = 12, 31, 12, 24
_SHAPE = re.compile(
    r"""
    (?:[a-z]{3,9}\.?,?\s+)??                                # Monday,
    (?: (?P<y>\d{4})(?P<s>[-/. ])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})
      | (?P<a>\d{1,2})(?P<s2>[-/. ])(?P<b>\d{1,2})(?P=s2)(?P<c>\d{4}|\d{2})
      | (?P<d3>\d{1,2})[-/. ]{0,2}(?P<n3>[a-z]{3,9})[-/. ,]{0,2}(?P<y3>\d{4}|\d{2})
      | (?P<n4>[a-z]{3,9})[-/. ]{1,2}(?P<d4>\d{1,2})(?:,\s*|[-/ ])(?P<y4>\d{4})
      | (?P<y5>\d{4})[-/. ](?P<n5>[a-z]{3,9})[-/. ](?P<d5>\d{1,2})
      | (?P<y6>\d{4})(?P<m6>\d\d)(?P<d6>\d\d)
    )
    (?: (?:[T,]?\s*|[-:])(?P<hour>\d{1,2})(?::(?P<minute>\d\d)
        (?: :(?P<second>\d\d) (?:[.,:](?P<fraction>\d{1,9}))? )? )?
        \s*(?P<half>[ap]\.?\s?m\b\.?)?
        \s*(?P<zone>Z|[-+]\d\d:?\d\d|[-+]\d\d|\[?[a-z]+(?:[/_][a-z_/]+)?\]?)?
        (?:\[[a-z_/]+\])?                                   # +01:00[Europe/Berlin]
    )?
    """,
    re.VERBOSE | re.IGNORECASE,
)


def read_text(text: str, order: str | None, timezone: str) -> datetime | None:
    """Read one text as a time.

    Args:
        text: a date, with or without a time of day.
        order: order of day, month and year in a date of three numbers that does not begin with a
            year of four digits. With None, dates of this form are not read.
        timezone: the local zone. Its abbreviations are read, such as CET and CEST.

    Returns:
        An aware datetime if the text names a zone, else a naive datetime. None if the text is not a
        time, or has two possible meanings.
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        return None
    parts = _date_of(found, order)
    if parts is None:
        return None
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if found["half"][0] in "pP" else 0)
    elif found["hour"] and not found["minute"]:
        return None  # in "17.11.2025 13", it is not clear that 13 is an hour
    minute, second = int(found["minute"] or 0), int(found["second"] or 0)
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    midnight_after = hour == _MIDNIGHT_AFTER and not (minute or second or int(fraction))
    try:
        clock = (0 if midnight_after else hour, minute, second, int(fraction))
        moment = datetime(*parts, *clock)  # noqa: DTZ001 -- the zone is added below
        moment += timedelta(days=1) * midnight_after
    except (ValueError, OverflowError):
        return None
    return _in_zone(moment, found["zone"], timezone) if found["zone"] else moment


def orders_of(text: str) -> frozenset[str]:
    """Return the orders of `ORDERS` that fit a date of three numbers; empty for other texts.

    >>> sorted(orders_of("17.11.2025 13:00")), sorted(orders_of("05/11/2025"))
    (['dmy'], ['dmy', 'mdy'])
    >>> sorted(orders_of("2025-11-17"))
    []
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None or found["a"] is None:
        return frozenset()
    return frozenset(order for order in ORDERS if _numbers_of(found, order) is not None)


def order_of(texts: Iterable[str]) -> tuple[str | None, str | None]:
    """Find the only order of day, month and year that fits all dates of three numbers.

    Returns:
        (order, example). The order is None if several orders fit, or if no order fits. The example
        is a date for a message; it is None if the order is known, or if no text is such a date.
    """
    possible, example = frozenset(ORDERS), None
    for text in texts:
        orders = orders_of(text)
        if orders:
            example = example or text
            possible &= orders
        if not possible:
            return None, example
    if example is None:
        return None, None
    return (next(iter(possible)), None) if len(possible) == 1 else (None, example)


def format_of(text: str, order: str) -> str:
    """Return the strptime format of a date of three numbers.

    >>> format_of("05.11.2025 13:00:00,5", "dmy"), format_of("5/11/25 1:00 PM", "mdy")
    ('%d.%m.%Y %H:%M:%S,%f', '%m/%d/%y %I:%M %p')
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None or found["a"] is None:
        return "%Y-%m-%d %H:%M:%S"
    names = {"d": "%d", "m": "%m", "y": "%Y" if len(found["c"]) > 2 else "%y"}  # noqa: PLR2004
    spans = dict(zip(("a", "b", "c"), (names[letter] for letter in order), strict=True))
    spans |= {"hour": "%I" if found["half"] else "%H", "minute": "%M", "second": "%S"}
    spans |= {"fraction": "%f", "half": "%p", "zone": "%z"}
    written, text = [], found.string
    at = 0
    for name, directive in spans.items():
        if found[name]:
            written += [text[at : found.start(name)], directive]
            at = found.end(name)
    return "".join([*written, text[at:]])


def has_time_of_day(text: str) -> bool:
    """Return whether a text is a time of day without a date.

    >>> has_time_of_day("13:00:00,5"), has_time_of_day("1:00 pm"), has_time_of_day("13")
    (True, True, False)
    """
    return re.fullmatch(_TIME_OF_DAY, text.strip()) is not None


def is_date_alone(text: str) -> bool:
    """Return whether a text is a date without a time of day; False for a date with 00:00.

    >>> is_date_alone("17.11.2025"), is_date_alone("20251117"), is_date_alone("2025-11-17 00:00")
    (True, True, False)
    """
    found = _SHAPE.fullmatch(text.strip())
    return found is not None and found["hour"] is None


def sorts_as_text(text: str) -> bool:
    """Return whether times in the form of this text, sorted as texts, are in the order of time.

    Return True for an unknown form.

    >>> sorts_as_text("2025/11/17 13:00"), sorts_as_text("17.11.2025"), sorts_as_text("1 PM")
    (True, False, True)
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        return True  # the form is not known
    return bool(found["y"] or found["y6"]) and not found["half"]


_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?)?", re.IGNORECASE)


def _date_of(found: re.Match[str], order: str | None) -> tuple[int, int, int] | None:
    """Return (year, month, day) of a match; None without a valid order or month name."""
    if found["a"] is not None:
        return _numbers_of(found, order) if order else None
    for year, month, day in (("y", "m", "d"), ("y6", "m6", "d6")):
        if found[year]:
            return int(found[year]), int(found[month]), int(found[day])
    for place in "345":
        if found["n" + place]:
            number = _month(found["n" + place])
            return (_year(found["y" + place]), number, int(found["d" + place])) if number else None
    return None


def _numbers_of(found: re.Match[str], order: str) -> tuple[int, int, int] | None:
    """Return (year, month, day) of a date of three numbers; None if the order does not fit."""
    if order == "ymd" and len(found["c"]) > 2:  # noqa: PLR2004 -- digits
        return None
    part = dict(zip(order, (found["a"], found["b"], found["c"]), strict=True))
    year, month, day = _year(part["y"]), int(part["m"]), int(part["d"])
    if not (1 <= month <= _MOST_MONTHS and 1 <= day <= _MOST_DAYS) or len(part["y"]) < 2:  # noqa: PLR2004
        return None
    return year, month, day


def _year(text: str) -> int:
    year = int(text)
    if len(text) > 2:  # noqa: PLR2004 -- digits
        return year
    return year + (20 if year < _NEXT_CENTURY else 19) * _CENTURY


def _month(name: str) -> int | None:
    """Return the number of a month from its English name or abbreviation; None if unknown."""
    name = name.lower().removesuffix("t") if name.lower() == "sept" else name.lower()
    return next((at for at, full in enumerate(_MONTHS, 1) if full.startswith(name)), None)


def _in_zone(moment: datetime, zone: str, timezone: str) -> datetime | None:
    """Return an aware datetime; None if the zone is unknown or ambiguous.

    Args:
        moment: naive datetime.
        zone: the zone as in the text: an offset, a name, or an abbreviation.
        timezone: the local zone, whose abbreviations are known.
    """
    known = _fixed_zone(zone.strip("[]"))
    if known is not None:
        return moment.replace(tzinfo=known)
    for fold in (0, 1):
        local = moment.replace(tzinfo=ZoneInfo(timezone), fold=fold)
        if local.tzname() == zone.upper():
            return local
    return None


@lru_cache(maxsize=64)
def _fixed_zone(zone: str) -> tzinfo | None:
    """Return the zone of an offset, of UTC or of a full zone name; None for other texts.

    Abbreviations such as CET are not read here, because their meaning depends on the country.
    """
    if zone.upper() in {"Z", "UTC", "GMT"}:
        return UTC
    if zone[0] in "+-":
        return datetime.strptime(zone, "%z").tzinfo if len(zone) > 3 else _hours(zone)  # noqa: PLR2004
    if "/" not in zone:
        return None
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _hours(zone: str) -> tzinfo | None:
    try:
        return datetime.strptime(zone + "00", "%z").tzinfo
    except ValueError:
        return None
