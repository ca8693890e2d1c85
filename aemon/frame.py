"""The frame contract: a table of records with event time, key and entity, checked once."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.errors import FrameError
from aemon.records import Identity

# Outside of these, what nanoseconds can hold, a time is a sentinel or a slip, such as 9999-12-31:
# read as the newest record's time it would stand in the way of every real one.
EARLIEST = np.datetime64("1678-01-01", "us")
LATEST = np.datetime64("2262-01-01", "us")

_FIRST_YEAR, _LAST_YEAR = 1677, 2262
_FAR_AHEAD = np.datetime64("9999-12-31", "us")
_LONG_AGO = EARLIEST - np.timedelta64(1, "D")
_NO_TIME = np.datetime64("NaT", "us")
_OFFSET = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
# Numbers below the first are counts of a unit of which the second is the microseconds.
_EPOCH_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (9e18, 1e-3))


Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Which of a table's columns identify a record; every other column may be judged."""

    time: str
    key: str
    entity: str | None = None
    timezone: str = "UTC"  # of event times that carry none


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
    """

    times: npt.NDArray[np.datetime64]
    keys: npt.NDArray[np.object_]
    entities: npt.NDArray[np.object_]
    values: pd.DataFrame
    rejected: dict[str, int] = field(default_factory=dict)
    context: Flags | None = None

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


def identify(table: pd.DataFrame, roles: Roles) -> Identified:
    """Read what identifies the records of a table, and find those that cannot be read.

    Reasons: `no_time`, `time_out_of_range` (no clock can have meant it) and `no_key`.

    Raises:
        FrameError: a role's column is missing, or two columns have the same name.
    """
    wanted = list(dict.fromkeys(filter(None, (roles.time, roles.key, roles.entity))))
    _check_columns(table, wanted)
    times = event_times(table[roles.time], roles.timezone)
    keys = _as_text(table[roles.key])
    if roles.entity:
        entities = _as_text(table[roles.entity])
        entities[entities == None] = ""  # noqa: E711 -- elementwise
    else:
        entities = np.full(len(table), "", dtype=object)
    no_time = np.isnat(times)
    far = ~no_time & ((times < EARLIEST) | (times > LATEST))
    no_key = ~(no_time | far) & ((keys == None) | (keys == ""))  # noqa: E711 -- elementwise
    return Identified(
        times=times,
        keys=keys,
        entities=entities,
        unreadable={"no_time": no_time, "time_out_of_range": far, "no_key": no_key},
        values=table.drop(columns=wanted),
    )


def check_frame(table: pd.DataFrame, roles: Roles) -> Frame:
    """Hold a fetched table against the frame contract.

    A record that `identify` cannot read, or with a key its entity uses again further down the same
    table (`duplicate_key`: the last one is the correction) is left out and counted in `rejected`.

    Raises:
        FrameError: a role's column is missing, or two columns have the same name.
    """
    found = identify(table, roles)
    readable = ~np.logical_or.reduce(list(found.unreadable.values()))
    # Only readable records can use up a key.
    identities = pd.DataFrame({"entity": found.entities[readable], "key": found.keys[readable]})
    duplicate = np.zeros(len(table), dtype=bool)
    duplicate[readable] = identities.duplicated(keep="last").to_numpy()
    reasons = {**found.unreadable, "duplicate_key": duplicate}
    keep = readable & ~duplicate
    return Frame(
        times=found.times[keep],
        keys=found.keys[keep],
        entities=found.entities[keep],
        values=found.values.loc[keep].reset_index(drop=True),
        rejected={reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()},
    )


def _check_columns(table: pd.DataFrame, wanted: list[str]) -> None:
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


def printable(text: str) -> str:
    """Text as every database can hold it: a picture for NUL, escapes for what is no Unicode."""
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def event_times(column: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    """Event times as datetime64[us] in UTC; NaT where a value is no time.

    Text is read as ISO 8601, with or without an offset. Numbers, also as text, count from 1970
    in seconds, milliseconds, microseconds or nanoseconds: whichever puts them before the year
    5138 (below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds). A time without
    offset is one of `timezone`; where that zone's clock change repeats it, the earlier of the
    two is meant, and where it is skipped, the first moment after the gap.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return _in_utc(column, timezone)
    if pd.api.types.is_bool_dtype(column):
        return np.full(len(column), _NO_TIME)
    if pd.api.types.is_numeric_dtype(column):
        return _from_numbers(column)
    if isinstance(column.dtype, pd.StringDtype):
        return _from_text(column, timezone)
    return _from_objects(column.astype(object), timezone)


def _from_objects(column: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    """Times of a column that may mix text, numbers, dates and datetimes with and without zone."""
    taken = column.map(_time_kind).to_numpy(dtype=object)
    times = np.full(len(column), _NO_TIME)
    for kind in set(taken) - {""}:
        rows = taken == kind
        part = column[rows]
        if kind == "text":
            times[rows] = _from_text(part.astype("string"), timezone)
        elif kind == "number":
            times[rows] = _from_numbers(pd.to_numeric(part.astype("string"), errors="coerce"))
        else:
            parsed = pd.to_datetime(part, errors="coerce", utc=kind == "aware")
            times[rows] = _in_utc(parsed, timezone)
    return times


def _time_kind(value: object) -> str:
    match value:
        case str():
            return "text"
        case bool() | np.bool_():
            return ""
        case int() | float() | Decimal() | np.number():
            return "number"
        case datetime():
            return "" if pd.isna(value) else "naive" if value.tzinfo is None else "aware"
        case date() | np.datetime64():
            return "naive"
        case _:
            return ""


def _from_text(column: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    text = column.str.strip()
    # pandas would read words such as "now" and "today" as the current time.
    text = text.where(text.str[:1].str.isdigit() == True)  # noqa: E712 -- missing counts as no
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    if timezone == "UTC":
        times = _in_utc(parsed, timezone)
    else:
        aware = text.str.contains(_OFFSET).fillna(value=False).to_numpy(dtype=bool)
        times = np.full(len(column), _NO_TIME)
        times[aware] = _in_utc(parsed[aware], timezone)
        times[~aware] = _in_utc(parsed[~aware].dt.tz_localize(None), timezone)
    left = np.isnat(times) & text.notna().to_numpy()
    if left.any():
        times[left] = _from_numbers(pd.to_numeric(text[left], errors="coerce"))
    return times


def _from_numbers(column: pd.Series) -> npt.NDArray[np.datetime64]:
    """Times of numbers since 1970, their unit told by their size; whole numbers stay exact."""
    exact = column.dtype.kind in "iu" and not column.hasnans
    numbers = column.to_numpy() if exact else column.to_numpy(dtype=float, na_value=np.nan)
    size = np.abs(numbers.astype(float))
    times = np.full(len(column), _NO_TIME)
    below = 0.0
    for most, per_microsecond in _EPOCH_UNITS:
        rows = (size >= below) & (size < most)
        below = most
        if per_microsecond >= 1 and not exact:
            micros = np.rint(numbers[rows] * per_microsecond).astype(np.int64)
        elif per_microsecond >= 1:
            micros = numbers[rows].astype(np.int64) * int(per_microsecond)
        else:
            micros = (numbers[rows] // (1 / per_microsecond)).astype(np.int64)
        times[rows] = micros.astype("datetime64[us]")
    return times


def _in_utc(column: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    """A datetime column as datetime64[us] in UTC; out of range it becomes one far off."""
    # Converting the last day of the year 9999 fails, and no zone moves a time by a year.
    long_ago = (column.dt.year < _FIRST_YEAR).to_numpy(dtype=bool)
    far_ahead = (column.dt.year > _LAST_YEAR).to_numpy(dtype=bool)
    column = column.mask(long_ago | far_ahead).dt.as_unit("us")
    if column.dt.tz is None and timezone != "UTC":
        earlier = np.ones(len(column), dtype=bool)
        column = column.dt.tz_localize(timezone, ambiguous=earlier, nonexistent="shift_forward")
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    times = column.to_numpy(dtype="datetime64[us]", copy=True)
    times[long_ago] = _LONG_AGO
    times[far_ahead] = _FAR_AHEAD
    return times
