"""The frame contract: a table of records with event time, key and entity, checked once."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.errors import FrameError
from aemon.records import Identity
from aemon.times.event_times import EARLIEST, LATEST, event_times

Flags = npt.NDArray[np.bool_]

MOST_IDENTITY_BYTES = 2_000
"""Of a record's key and entity together: PostgreSQL's indexes take 2,704 with all that is beside them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Which of a table's columns identify a record; every other column may be judged."""

    time: str
    key: str
    entity: str | None = None
    timezone: str = "UTC"  # of event times that carry none
    time_format: str | None = None  # the one way in which they are written; None: by their looks
    date_order: str | None = None  # of dates such as 05/11/2025: dmy, mdy or ymd, where known

    def times_of(self, column: pd.Series) -> npt.NDArray[np.datetime64]:
        """Event times of a column of times (N,), in UTC; NaT where a value is none."""
        return event_times(column, self.timezone, self.time_format, self.date_order)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """N validated records.

    Attributes:
        times: (N,) datetime64[us], UTC.
        keys: (N,) text; unique within an entity.
        entities: (N,) text; empty where the source names none.
        values: (N, columns) the columns that may be judged, index 0..N-1.
        rejected: how many records were left out of the frame, by reason.
        context: (N,) context rows: there to be seen, not to be judged; None means no row is.
        stretches: (N,) which stretch of operation of its entity a record lies in, 0 where one may go
            on from before: what lies in another is no past of it; -1 where nobody has looked yet.
            None means there is but one.
    """

    times: npt.NDArray[np.datetime64]
    keys: npt.NDArray[np.object_]
    entities: npt.NDArray[np.object_]
    values: pd.DataFrame
    rejected: dict[str, int] = field(default_factory=dict)
    context: Flags | None = None
    stretches: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def identities(self) -> list[Identity]:
        """(entity, record key) of each of the N records."""
        return list(zip(self.entities.tolist(), self.keys.tolist(), strict=True))

    def aware_time(self, row: int) -> datetime:
        """The event time of one record."""
        time: datetime = self.times[row].astype("datetime64[us]").item()
        return time.replace(tzinfo=UTC)

    @property
    def to_judge(self) -> Flags:
        """Which of the N rows are to be judged (N,): all but the context rows."""
        return np.ones(len(self), dtype=bool) if self.context is None else ~self.context

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> "Frame":
        """The records at these rows, with nothing counted as rejected; context rows stay such."""
        return Frame(
            times=self.times[rows],
            keys=self.keys[rows],
            entities=self.entities[rows],
            values=self.values.iloc[rows].reset_index(drop=True),
            context=None if self.context is None else self.context[rows],
            stretches=None if self.stretches is None else self.stretches[rows],
        )

    def without_context(self) -> "Frame":
        """The records that are to be judged."""
        return self if self.context is None else replace(self.take(~self.context), context=None)

    def as_context(self) -> "Frame":
        """The same records, all of them context rows."""
        return replace(self, context=np.ones(len(self), dtype=bool))


def naive_utc(time: datetime) -> np.datetime64:
    """An aware time as frames hold it."""
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


def join_frames(first: Frame, second: Frame) -> Frame:
    """The records of both; a column that one of them lacks is missing there."""
    if not len(second):
        return first
    return Frame(
        times=np.concatenate([first.times, second.times]),
        keys=np.concatenate([first.keys, second.keys]),
        entities=np.concatenate([first.entities, second.entities]),
        values=pd.concat([first.values, second.values], ignore_index=True),
        rejected=first.rejected,
        context=context
        if (context := ~np.concatenate([first.to_judge, second.to_judge])).any()
        else None,
        stretches=_joined_stretches(first, second),
    )


def _joined_stretches(first: Frame, second: Frame) -> npt.NDArray[np.int64] | None:
    parts = (first, second)
    if all(part.stretches is None for part in parts):
        return None
    nobody = [np.full(len(part), -1, dtype=np.int64) for part in parts]
    return np.concatenate(
        [
            none if part.stretches is None else part.stretches
            for part, none in zip(parts, nobody, strict=True)
        ]
    )


def rows_of(frame: Frame, pairs: Collection[Identity]) -> Flags:
    """Which of N records are among these (N,)."""
    wanted = set(pairs)
    return flags(pair in wanted for pair in frame.identities)


def flags(values: Iterable[bool]) -> Flags:
    """Truths as an array (N,)."""
    return np.array(list(values), dtype=bool)


def in_time_order(frame: Frame) -> Frame:
    """The same records, oldest first."""
    return frame.take(np.argsort(frame.times, kind="stable"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Identified:
    """As `Frame`, of all N records of a table: a time may be NaT, and a key None.

    `unreadable` says which cannot be read: reason -> (N,), at most one reason for each record.
    """

    times: npt.NDArray[np.datetime64]
    keys: npt.NDArray[np.object_]
    entities: npt.NDArray[np.object_]
    unreadable: dict[str, Flags]
    values: pd.DataFrame


def identify(
    table: pd.DataFrame, roles: Roles, times: npt.NDArray[np.datetime64] | None = None
) -> Identified:
    """Read what identifies the records of a table, and find those that cannot be read.

    `times` are its event times where they have been read already.

    Reasons: `no_time`, `time_out_of_range` (no clock can have meant it), `no_key` and `key_too_long`
    (key and entity together are longer than a database can look up).

    Raises:
        FrameError: a role's column is missing, or two columns have the same name.
    """
    wanted = check_columns(table, roles)
    if times is None:
        times = roles.times_of(table[roles.time])
    keys = _as_text(table[roles.key])
    if roles.entity:
        entities = _as_text(table[roles.entity])
        entities[entities == None] = ""  # noqa: E711 -- elementwise
    else:
        entities = np.full(len(table), "", dtype=object)
    no_time = np.isnat(times)
    far = ~no_time & ((times < EARLIEST) | (times > LATEST))
    no_key = ~(no_time | far) & ((keys == None) | (keys == ""))  # noqa: E711 -- elementwise
    too_long = ~(no_time | far | no_key) & _too_long(keys, entities)
    return Identified(
        times=times,
        keys=keys,
        entities=entities,
        unreadable={
            "no_time": no_time,
            "time_out_of_range": far,
            "no_key": no_key,
            "key_too_long": too_long,
        },
        values=table.drop(columns=wanted),
    )


def check_frame(
    table: pd.DataFrame, roles: Roles, times: npt.NDArray[np.datetime64] | None = None
) -> Frame:
    """Hold a fetched table against the frame contract.

    `times` are its event times where they have been read already.

    A record that `identify` cannot read, or with a key its entity uses again further down the same
    table (`duplicate_key`: the last one is the correction) is left out and counted in `rejected`.

    Raises:
        FrameError: a role's column is missing, or two columns have the same name.
    """
    found = identify(table, roles, times)
    reasons = _rejected(found)
    keep = ~np.logical_or.reduce(list(reasons.values()))
    return Frame(
        times=found.times[keep],
        keys=found.keys[keep],
        entities=found.entities[keep],
        values=found.values.loc[keep].reset_index(drop=True),
        rejected={reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()},
    )


def rejected_rows(
    table: pd.DataFrame, roles: Roles, times: npt.NDArray[np.datetime64] | None = None
) -> dict[str, Flags]:
    """Return which of N records `check_frame` leaves out: reason -> (N,).

    Raises:
        FrameError: as `check_frame`.
    """
    return _rejected(identify(table, roles, times))


def _rejected(found: Identified) -> dict[str, Flags]:
    readable = ~np.logical_or.reduce(list(found.unreadable.values()))
    # Only readable records can use up a key.
    identities = pd.DataFrame({"entity": found.entities[readable], "key": found.keys[readable]})
    duplicate = np.zeros(len(readable), dtype=bool)
    duplicate[readable] = identities.duplicated(keep="last").to_numpy()
    return {**found.unreadable, "duplicate_key": duplicate}


def check_columns(table: pd.DataFrame, roles: Roles) -> list[str]:
    """Return the columns that identify a record, each once.

    Raises:
        FrameError: a role's column is missing, or two columns have the same name.
    """
    wanted = list(dict.fromkeys(filter(None, (roles.time, roles.key, roles.entity))))
    if not table.columns.is_unique:
        twice = sorted(set(map(str, table.columns[table.columns.duplicated()])))
        raise FrameError(
            f"the records have more than one column named {', '.join(map(repr, twice))}",
            todo="give every column of the source its own name",
        )
    for column in wanted:
        if column not in table.columns:
            there = ", ".join(map(str, table.columns)) or "none"
            raise FrameError(
                f"column {column!r} is not in the records",
                todo=f"name one of the columns that are there: {there}",
            )
    return wanted


def _as_text(column: pd.Series) -> npt.NDArray[np.object_]:
    """Identifiers as text, None where missing.

    A whole number reads `12` also where a missing neighbour made the column floating.
    """
    text = np.empty(len(column), dtype=object)
    text[:] = [
        None if missing else printable(str(_whole(value)))
        for value, missing in zip(column, column.isna(), strict=True)
    ]
    return text


def _too_long(keys: npt.NDArray[np.object_], entities: npt.NDArray[np.object_]) -> Flags:
    """Find the records whose key and entity no database can look up (N,)."""
    texts = [(key or "") + entity for key, entity in zip(keys, entities, strict=True)]
    return flags(
        4 * len(text) > MOST_IDENTITY_BYTES and len(text.encode()) > MOST_IDENTITY_BYTES
        for text in texts
    )


def printable(text: str) -> str:
    """Text as every database can hold it: a picture for NUL, escapes for what is no Unicode."""
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
