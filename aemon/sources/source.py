"""The protocols of sources, replayable ones and streams; `tests/contract` holds all kinds to them."""

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
        watermark: everything up to the table's last record; the given one if there is none.
        more: another read would return records at once.
        waiting: records after the watermark that were not returned, for their time is unreadable
            or too far ahead to be believed; a watermark behind them would hide all others.
        warnings: what a person should know of this read, a sentence each.
        times: (N,) the table's event times as its roles read them, where the source has read them
            already; None where it has not.
        unreadable: records that the source could not read and passed over, as a message shows them.
        given_up: keys that were missing below the newest one, and are no longer looked for.
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
    """What a stream received and could make no record of: the reason, and its beginning as text."""

    reason: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Arrived:
    """What a stream handed over in one piece.

    Attributes:
        table: records in order of arrival, with at least the columns of the source's roles.
        more: another call would hand over records at once.
        lost: records that were dropped since the last call, because nobody took them in time and
            the memory of the stream is bounded.
        set_aside: what was received and cannot be read.
        finish_before: the records are parts, which the inbox joins by entity and key: of two values of
            one column the later one counts. What was received before this time is finished, and may
            be judged. None where all records are whole.
        note: what a later process must know of this piece, given to its `resume`; None if nothing.
        done: called once the piece and its note are in the store, in the order of the pieces;
            acknowledges to the other side what was received. Raises nothing. None where nobody
            else keeps the records.
    """

    table: pd.DataFrame
    more: bool
    lost: int = 0
    set_aside: tuple[SetAside, ...] = ()
    finish_before: datetime | None = None
    note: str | None = None
    done: Callable[[], None] | None = None


class Source(Protocol):
    """What every source has, whichever way its records are read.

    Nothing is connected, read or started before the first call that needs it.
    """

    @property
    def roles(self) -> Roles:
        """Return which columns identify a record."""

    def describe(self) -> str:
        """Return the source in a few words, without secrets."""

    def close(self) -> None:
        """Let go of connections and threads; a second call does nothing."""


class Replayable(Source, Protocol):
    """A source whose records stay where they are: each is read again for the same watermark.

    Reads records in order, in bounded pieces, each exactly once for a moving watermark. Every read
    raises `SourceError` when trying again may help, `SourceConfigError` when the table, file or
    column asked for is not there. Messages name them and hold no secrets.
    """

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether records are read as they come in, so that none can appear behind a watermark."""

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether records may appear behind a watermark, of which `fetch` hears nothing."""

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark is one that such a source writes."""

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark, oldest first; None: from the first."""

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first."""

    def count(self, limit: int) -> int:
        """Return how many records there are in all, counted no further than `limit`."""


@runtime_checkable
class ChecksApart(Protocol):
    """A source that may hold records of several things, and cannot always tell which is whose."""

    def check_apart(self) -> None:
        """Refuse records that cannot be told apart.

        Raises:
            SourceConfigError: nothing tells which records belong together.
            SourceError: the source cannot be read.
        """


class Stream(Source, Protocol):
    """A source that says each record once, to whoever listens: the inbox of a monitor keeps them.

    It listens from the first `take` on, in threads of its own, and holds what has arrived in
    bounded memory. After `close` it hands over what arrived before, then nothing.

    Where the other side keeps records until they are acknowledged, the stream acknowledges a piece in
    its `done` and not before. Records that come again are handed over once, also after a restart:
    by the notes of the newest pieces, the stream knows them.
    """

    def resume(self, notes: Sequence[str], wake: Callable[[], None]) -> None:
        """Prepare to go on where an earlier process ended; called at most once, before `take`.

        Without this call nothing is resumed, and nothing is left behind at the other side.

        Args:
            notes: of the newest pieces that are in the store, oldest first.
            wake: may be called from any thread to have records taken at once; without it they are
                taken within a second.
        """

    def take(self, limit: int) -> Arrived:
        """Hand over at most `limit` records that have arrived, without waiting for any.

        No record is handed over twice.

        Raises:
            SourceError: the source cannot be reached at the moment.
            SourceConfigError: what the configuration names is not there.
        """


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
