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
        more: whether a second read would return further records now.
        waiting: number of records after the watermark that were not returned, because their time is
            unreadable or implausibly far ahead. As watermarks, such times would hide later records.
        warnings: sentences about this read that a person should see.
        times: (N,) event times of the table, read by the roles; None if the source has not read
            the times.
        unreadable: records that the source could not read and left out, as text for messages.
        given_up: number of keys smaller than the newest key that were missing, and that the source
            no longer looks for.
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
    """The records that one call of a stream's `take` handed over.

    Attributes:
        table: records in order of arrival, with at least the columns of the source's roles.
        more: whether a second call would hand over further records now.
        lost: number of records dropped since the last call, because the memory of the stream is
            bounded and the records were not taken in time.
        set_aside: received data that cannot be read.
        finish_before: set if the rows are parts of records. The inbox joins parts with the same
            entity and key; if a column has two values, the later value counts. Records received
            before this time are complete and may be judged. None if each row is a whole record. If
            the settings make records from readings (`bucket`, `pivot`), a bucket may close only if
            its last reading was received before this time; None if the stream cannot say.
        note: data about these records, for `resume` in a later process; None if there is no data.
        done: function to call once these records and their note are in the store; calls are in
            the order of the `take`s. It acknowledges the records to the server or broker, and
            raises nothing. None if the server or broker keeps no records.
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

    A source makes no connection, reads nothing and starts no thread before the first call that
    needs this.
    """

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""

    def describe(self) -> str:
        """Return a short description of the source, without secrets."""

    def close(self) -> None:
        """Close connections and end threads; a second call does nothing."""


class Replayable(Source, Protocol):
    """A source that keeps its records: reads with the same watermark return the same records.

    A replayable source reads records in order, a limited number at a time. If each read begins at
    the watermark of the last read, each record is read exactly once. Every read raises
    `SourceError` if trying again may help, and `SourceConfigError` if the configured table, file
    or column does not exist. The messages name the table, file or column, and hold no secrets.
    """

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether records are read in order of arrival; then new records follow the watermark."""

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether new records may be older than a watermark; `fetch` misses such records."""

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is in the form that this source writes."""

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark (None: the first), oldest first."""

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""

    def count(self, limit: int) -> int:
        """Return how many records the source holds; stop counting at `limit`."""


@runtime_checkable
class ChecksApart(Protocol):
    """A source that may hold records of several entities, and may not know the entity of each."""

    def check_apart(self) -> None:
        """Raise an error if the records of different entities cannot be distinguished.

        Raises:
            SourceConfigError: no column or key shows which records belong together.
            SourceError: the source cannot be read.
        """


class Stream(Source, Protocol):
    """A source that delivers each record once; the inbox of a monitor keeps the records.

    A stream begins to listen at the first `take`, in its own threads, and holds arrived records in
    bounded memory. After `close`, `take` still hands over the records that arrived before.

    A server or broker may keep records until they are acknowledged. Then the stream acknowledges
    the records of a `take` only in `Arrived.done`. Records that are delivered a second time are
    handed over once, also after a restart: the stream recognises them by the newest notes.
    """

    def resume(self, notes: Sequence[str], wake: Callable[[], None]) -> None:
        """Prepare to continue where an earlier process ended; called at most once, before `take`.

        Without this call the stream does not continue an earlier process, and leaves no session or
        position at the server or broker.

        Args:
            notes: the newest notes in the store, oldest first; see `Arrived.note`.
            wake: function that requests an immediate `take`, from any thread. Without a request,
                `take` is called within a second.
        """

    def take(self, limit: int) -> Arrived:
        """Hand over at most `limit` records that have arrived; do not wait for further records.

        No record is handed over twice.

        Raises:
            SourceError: the source cannot be reached at the moment.
            SourceConfigError: the topic, node or table that the configuration names is missing.
        """


_MOST_NAMES = 30  # names in a message, so that it stays readable


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
