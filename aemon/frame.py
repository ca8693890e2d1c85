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
"""Largest number of bytes of a record's key and entity together. An index entry of PostgreSQL holds
2,704 bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """The columns of a table that identify a record; every other column may be judged."""

    time: str
    key: str
    entity: str | None = None
    timezone: str = "UTC"  # zone of event times that name no zone
    time_format: str | None = None  # format of the event times; None if aemon must recognise it
    date_order: str | None = None  # dmy, mdy or ymd (05/11/2025); None if aemon must recognise it

    def times_of(self, column: pd.Series) -> npt.NDArray[np.datetime64]:
        """Return the event times (N,) of a column, in UTC; NaT where a value is not a time."""
        return event_times(column, self.timezone, self.time_format, self.date_order)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """N validated records.

    Attributes:
        times: (N,) datetime64[us], UTC.
        keys: (N,) text; unique within an entity.
        entities: (N,) text; empty where the source has no entity.
        values: (N, columns) the columns that may be judged, index 0..N-1.
        rejected: reason -> number of records that were left out of the frame.
        context: (N,) whether each row is a context row: part of windows, but not judged. None means
            that no row is a context row.
        stretches: (N,) number of the entity's period of operation in which each record lies.
            Records of other periods are not part of the record's past. 0 is a period that may
            continue an earlier period, -1 an unknown period. None means that all records lie in one
            period.
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
        """List of (entity, record key) of the N records."""
        return list(zip(self.entities.tolist(), self.keys.tolist(), strict=True))

    def aware_time(self, row: int) -> datetime:
        """Return the event time of one record, in UTC."""
        time: datetime = self.times[row].astype("datetime64[us]").item()
        return time.replace(tzinfo=UTC)

    @property
    def to_judge(self) -> Flags:
        """Mask (N,) of the rows to judge: all except the context rows."""
        return np.ones(len(self), dtype=bool) if self.context is None else ~self.context

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> "Frame":
        """Return the records at these rows; context rows stay context, `rejected` becomes empty."""
        return Frame(
            times=self.times[rows],
            keys=self.keys[rows],
            entities=self.entities[rows],
            values=self.values.iloc[rows].reset_index(drop=True),
            context=None if self.context is None else self.context[rows],
            stretches=None if self.stretches is None else self.stretches[rows],
        )

    def without_context(self) -> "Frame":
        """Return the records to judge, without the context rows."""
        return self if self.context is None else replace(self.take(~self.context), context=None)

    def as_context(self) -> "Frame":
        """Return the same records, all as context rows."""
        return replace(self, context=np.ones(len(self), dtype=bool))


def naive_utc(time: datetime) -> np.datetime64:
    """Return an aware time in the form that frames hold: naive UTC, in microseconds."""
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


def join_frames(first: Frame, second: Frame) -> Frame:
    """Return the records of both frames.

    If only one frame has a column, the other frame's records have missing cells in this column.
    """
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
    unknown = [np.full(len(part), -1, dtype=np.int64) for part in parts]
    return np.concatenate(
        [
            none if part.stretches is None else part.stretches
            for part, none in zip(parts, unknown, strict=True)
        ]
    )


def rows_of(frame: Frame, pairs: Collection[Identity]) -> Flags:
    """Return a mask (N,) of the records whose pair of entity and key is among these pairs."""
    chosen = set(pairs)
    return flags(pair in chosen for pair in frame.identities)


def flags(values: Iterable[bool]) -> Flags:
    """Return truth values as an array (N,)."""
    return np.array(list(values), dtype=bool)


def in_time_order(frame: Frame) -> Frame:
    """Return the same records, oldest first."""
    return frame.take(np.argsort(frame.times, kind="stable"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Identified:
    """All N records of a table. Attributes are as in `Frame`, but a time may be NaT and a key None.

    `unreadable` marks the records that cannot be read: reason -> mask (N,). A record has at most
    one reason.
    """

    times: npt.NDArray[np.datetime64]
    keys: npt.NDArray[np.object_]
    entities: npt.NDArray[np.object_]
    unreadable: dict[str, Flags]
    values: pd.DataFrame


def identify(
    table: pd.DataFrame, roles: Roles, times: npt.NDArray[np.datetime64] | None = None
) -> Identified:
    """Read time, key and entity of the records of a table, and find records that cannot be read.

    `times` are the event times, if the caller has read them already.

    The reasons are `no_time`, `time_out_of_range` (a real clock cannot show this time), `no_key`
    and `key_too_long` (key and entity together are longer than a database can index).

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
    """Check a fetched table against the frame contract.

    `times` are the event times, if the caller has read them already.

    A record that `identify` cannot read is left out and counted in `rejected`. A record is also
    left out and counted if a later row has the same entity and key (`duplicate_key`: the last of
    these rows is the correction).

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
    """Return masks of the records that `check_frame` leaves out: reason -> (N,).

    Raises:
        FrameError: for the same reasons as in `check_frame`.
    """
    return _rejected(identify(table, roles, times))


def _rejected(found: Identified) -> dict[str, Flags]:
    readable = ~np.logical_or.reduce(list(found.unreadable.values()))
    # A record that cannot be read does not make another record a duplicate.
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
            present = ", ".join(map(str, table.columns)) or "none"
            raise FrameError(
                f"column {column!r} is not in the records",
                todo=f"name one of the columns that are there: {present}",
            )
    return wanted


def _as_text(column: pd.Series) -> npt.NDArray[np.object_]:
    """Return identifiers as text; None where a cell is missing.

    A whole number becomes `12`, not `12.0`, even if missing cells turned the column into floats.
    """
    text = np.empty(len(column), dtype=object)
    text[:] = [
        None if missing else printable(str(_whole(value)))
        for value, missing in zip(column, column.isna(), strict=True)
    ]
    return text


def _too_long(keys: npt.NDArray[np.object_], entities: npt.NDArray[np.object_]) -> Flags:
    """Return a mask (N,) of the records whose key and entity are too long for an index."""
    texts = [(key or "") + entity for key, entity in zip(keys, entities, strict=True)]
    return flags(
        4 * len(text) > MOST_IDENTITY_BYTES and len(text.encode()) > MOST_IDENTITY_BYTES
        for text in texts
    )


def printable(text: str) -> str:
    """Return text that every database can hold: NUL becomes U+2400, invalid Unicode is escaped."""
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
