"""The protocols of replayable sources and of streams; `tests/contract` checks all kinds."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.frame import Roles
from aemon.records import Watermark


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fetched:
    """What one read of a replayable source returned.

    Attributes:
        table: records in reading order, with at least the columns of the source's roles.
        watermark: the position of the table's last record; unchanged if the table is empty.
        more: another read would return records at once.
        waiting: records after the watermark that were not returned, because their time is
            unreadable or implausibly far ahead. A watermark behind them would hide all others.
        warnings: sentences about this read that a person should see.
        times: (N,) the table's event times as its roles read them; None if the source has not
            read them yet.
        unreadable: records that the source could not read and passed over, as text for messages.
        given_up: keys that were missing below the newest key and are no longer looked for.
    """

    table: pd.DataFrame
    watermark: Watermark | None
    more: bool
    waiting: int = 0
    warnings: tuple[str, ...] = ()
    times: npt.NDArray[np.datetime64] | None = None
    unreadable: tuple[str, ...] = ()
    given_up: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """Received data that is not a record: the reason, and the beginning of the data as text."""

    reason: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Arrived:
    """One piece that a stream handed over.

    Attributes:
        table: records in order of arrival, with at least the columns of the source's roles.
        more: another call would hand over records at once.
        lost: records that were dropped since the last call, because they were not taken in time
            and the memory of the stream is bounded.
        set_aside: received data that cannot be read.
        finish_before: set if the records are parts. The inbox joins parts by entity and key; of
            two values of one column the later value counts. Records received before this time
            are complete and may be judged. None if all records are complete.
        note: data about this piece for `resume` of a later process; None if there is none.
        done: called once the piece and its note are in the store, in the order of the pieces.
            It acknowledges the piece to the other side and raises nothing. None if the other
            side keeps no records.
    """

    table: pd.DataFrame
    more: bool
    lost: int = 0
    set_aside: tuple[SetAside, ...] = ()
    finish_before: datetime | None = None
    note: str | None = None
    done: Callable[[], None] | None = None


class Source(Protocol):
    """The methods of every source, replayable or stream.

    A source connects, reads or starts nothing before the first call that needs it.
    """

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""

    def describe(self) -> str:
        """Return a short description of the source, without secrets."""

    def close(self) -> None:
        """Close connections and end threads; a second call does nothing."""


class Replayable(Source, Protocol):
    """A source that keeps its records: the same watermark returns the same records again.

    A replayable source reads records in order and in bounded pieces. With a moving watermark each
    record is read exactly once. Every read raises `SourceError` if trying again may help, and
    `SourceConfigError` if the configured table, file or column does not exist. Messages name it
    and hold no secrets.
    """

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether the reading order is that of arrival: no record can appear behind a watermark."""

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether records may appear behind a watermark and `fetch` would not find them."""

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is in the form that this source writes."""

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark, oldest first; None: from the first."""

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""

    def count(self, limit: int) -> int:
        """Return how many records the source holds; stop counting at `limit`."""


@runtime_checkable
class ChecksApart(Protocol):
    """A source that may hold records of several entities that it cannot always distinguish."""

    def check_apart(self) -> None:
        """Raise an error if the records of different entities cannot be distinguished.

        Raises:
            SourceConfigError: no column or key shows which records belong together.
            SourceError: the source cannot be read.
        """


class Stream(Source, Protocol):
    """A source that delivers each record once; the inbox of a monitor keeps the records.

    A stream listens from the first `take` on, in its own threads, and holds arrived records in
    bounded memory. After `close` it hands over the records that arrived before, then nothing.

    If the other side keeps records until they are acknowledged, the stream acknowledges a piece
    in its `done` and not before. Records that are delivered again are handed over once, also
    after a restart: the stream recognises them by the notes of the newest pieces.
    """

    def resume(self, notes: Sequence[str], wake: Callable[[], None]) -> None:
        """Prepare to continue where an earlier process ended; called at most once, before `take`.

        Without this call the stream resumes nothing and leaves nothing at the other side.

        Args:
            notes: of the newest pieces in the store, oldest first.
            wake: requests a `take` at once, from any thread; without it, records are taken within
                a second.
        """

    def take(self, limit: int) -> Arrived:
        """Hand over at most `limit` records that have arrived, without waiting for any.

        No record is handed over twice.

        Raises:
            SourceError: the source cannot be reached at the moment.
            SourceConfigError: the topic, node or table that the configuration names is missing.
        """


_MOST_NAMES = 30  # a message stays readable


def there(names: Iterable[str], missing: str) -> str:
    """Return a text that lists the existing names, with the name nearest to `missing` first.

    >>> there(["ts", "id"], "tss")
    'did you mean ts? There are: id, ts'
    >>> there([], "ts")
    'there are none'
    """
    known = sorted(names)
    if not known:
        return "there are none"
    by_letters = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(missing.lower(), by_letters, n=1)
    near = [by_letters[name] for name in matches]
    listed = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"
