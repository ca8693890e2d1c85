"""The setting `time_format`: the name of a numeric format of times, or a strptime format."""

import re
from datetime import datetime

NAMES = (
    "excel", "matlab", "julian", "mjd", "ticks", "filetime",
    "unix", "unix_ms", "unix_us", "unix_ns",
)  # fmt: skip
"""Names of numeric formats: counts of days, of tenths of a microsecond, and of seconds or smaller
units since 1970."""

_SAMPLE = datetime(2023, 11, 17, 13, 24, 35, 678900)  # noqa: DTZ001 -- only formatted
_DESCENDING = re.compile(
    r"%Y[^%]*(?:%j|%m[^%]*%d)[^%]*(?:%T|%H([^%]*%M([^%]*%S([^%]*%f)?)?)?)?%?z?"
)


def check_time_format(text: str) -> str:
    """Check the value of `time_format`; return the value unchanged.

    Raises:
        ValueError: the value is neither the name of a numeric format nor a strptime format, or the
            strptime format has no complete date.
    """
    if text in NAMES:
        return text
    if "%" not in text:
        known = ", ".join(NAMES)
        raise ValueError(f"{text!r} is neither one of {known} nor a format such as %d.%m.%Y %H:%M")
    try:
        written = (_SAMPLE.astimezone() if names_zone(text) else _SAMPLE).strftime(text)
        read = datetime.strptime(written, text)  # noqa: DTZ007 -- only its date is used
    except ValueError as error:
        raise ValueError(f"{text!r} is not a format of strptime: {error}") from None
    if read.date() != _SAMPLE.date():
        raise ValueError(f"{text!r} has no whole date: year, month and day, such as %d.%m.%Y")
    return text


def names_zone(form: str) -> bool:
    """Return whether times in this strptime format include an offset or a zone."""
    return "%z" in form or "%Z" in form


def sorts_by_letters(form: str) -> bool:
    """Return whether times in this strptime format, sorted as texts, are in the order of time.

    >>> sorts_by_letters("%Y-%m-%d %H:%M"), sorts_by_letters("%d.%m.%Y")
    (True, False)
    """
    return _DESCENDING.fullmatch(form) is not None
