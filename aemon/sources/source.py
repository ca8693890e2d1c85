"""The protocol every source fulfils; `tests/contract` holds all of them to it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from aemon.frame import Roles
from aemon.records import Watermark


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fetched:
    """What one read returned.

    Attributes:
        table: records in reading order, with at least the columns of the source's roles.
        watermark: everything up to the table's last record; the given one if there is none.
        more: another read would return records at once.
        waiting: records after the watermark that were not returned, for their time is unreadable
            or too far ahead to be believed; a watermark behind them would hide all others.
    """

    table: pd.DataFrame
    watermark: Watermark | None
    more: bool
    waiting: int = 0


class Source(Protocol):
    """Reads records in order, in bounded pieces, each exactly once for a moving watermark.

    Every read raises `SourceError` when trying again may help, `SourceConfigError` when the
    table, file or column asked for is not there. Messages name them and hold no secrets.
    """

    @property
    def roles(self) -> Roles:
        """Which columns identify a record."""

    @property
    def replayable(self) -> bool:
        """Whether past records can be read again; if not, the store keeps them for training."""

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether records are read as they come in, so that none can appear behind a watermark."""

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """At most `limit` records after a watermark, oldest first; None reads from the beginning."""

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """The newest `limit` records up to a watermark (None: up to now), oldest first."""

    def count(self, limit: int) -> int:
        """How many records there are in all, counted no further than `limit`."""

    def describe(self) -> str:
        """The source in a few words, without secrets."""

    def close(self) -> None:
        """Let go of connections and threads."""


_MOST_NAMES = 30  # a message stays readable


def there(names: Iterable[str], wanted: str) -> str:
    """What is there instead of `wanted`, the nearest name first.

    >>> there(["ts", "id"], "tss")
    'did you mean ts? There are: id, ts'
    >>> there([], "ts")
    'there are none'
    """
    known = sorted(names)
    if not known:
        return "there are none"
    by_letters = {name.lower(): name for name in known}
    near = [by_letters[name] for name in difflib.get_close_matches(wanted.lower(), by_letters, n=1)]
    listed = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"
