"""Reads the parameters of a request for a page; unreadable ones are refused with the reason."""

from datetime import datetime, timedelta

from starlette.requests import Request

from aemon.errors import QueryError
from aemon.frame import printable
from aemon.times.given_times import given_time

MOST_CHARACTERS = 1000


def text_of(request: Request, name: str) -> str:
    """Return a parameter of a request as text that a database can hold; empty without it."""
    return printable(request.query_params.get(name, "")[:MOST_CHARACTERS])


def time_of(request: Request, name: str, now: datetime, default: datetime) -> datetime:
    """Return a parameter as a time: ISO 8601, or a duration before now.

    Raises:
        QueryError: the time cannot be read.
    """
    text = text_of(request, name)
    return given_time(text, now) if text else default


def whole_of(request: Request, name: str, default: int, *, most: int) -> int:
    """Return a parameter as a whole number from 1 to `most`.

    Raises:
        QueryError: the parameter is not such a number.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise QueryError(f"{name} is not a whole number from 1 to {most}", todo="correct it")
    return int(text)


SPANS = {
    "10m": timedelta(minutes=10),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "1y": timedelta(days=366),
}
"""The spans of time that the pages offer."""


USUAL = "24h"
_ROOM = 4  # a young monitor is shown in a span of this number of times its age


def span_of(request: Request, began: datetime | None, now: datetime) -> str:
    """Return the chosen span of time, a key of `SPANS`; else a day, or less for a young monitor.

    Args:
        request: the request.
        began: when the monitor began to judge; None if it has not begun.
        now: the present time.
    """
    text = request.query_params.get("span", "")
    if text in SPANS:
        return text
    if began is None:
        return USUAL
    long = (name for name, span in SPANS.items() if span >= _ROOM * (now - began))
    return min(next(long, USUAL), USUAL, key=lambda name: SPANS[name])
