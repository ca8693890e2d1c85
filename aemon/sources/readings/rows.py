"""Rows of a source as readings of tags, in a compact form."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles, naive_utc
from aemon.records import Watermark
from aemon.sources.plausible_times import BELIEVED_AHEAD
from aemon.sources.readings.cell_quality import good_cells
from aemon.sources.readings.cells import Objects, split_cells, texts_of
from aemon.sources.readings.settings import Pivot, Quality, ReadingsSettings
from aemon.sources.source import Fetched, there
from aemon.times.event_times import EARLIEST

MOST_TAGS = 2_000
"""Maximum number of tags; with more tags, the pivot probably names the wrong column."""

READING_COLUMNS = ("bucket", "entity", "tag", "time", "number", "word")
NO_BUCKET = np.iinfo(np.int64).min
"""The bucket of a row that is not a reading."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """N rows of the underlying source, in its order.

    Attributes:
        before: the watermark after which the rows were read; None if reading began at the first
            row.
        after: the watermark of the last row.
        buckets: (N,) beginning of each row's bucket, microseconds since 1970; `NO_BUCKET` if a row
            is not a reading.
        entities: (N,) entity of each row, text.
        times: (N,) time of each row, microseconds since 1970.
        readings: a table with a row for each value, and with `READING_COLUMNS`.
        tags: the columns that records of these rows have, also columns without a value.
        unusable: position of a row that is not a reading -> the row as text for messages.
        lost: rows that the source could not read, as text for messages; without positions.
        given_up: number of missing keys that the source no longer looks for.
    """

    before: Watermark | None
    after: Watermark | None
    buckets: npt.NDArray[np.int64]
    entities: Objects
    times: npt.NDArray[np.int64]
    readings: pd.DataFrame
    tags: frozenset[str]
    unusable: Mapping[int, str]
    lost: tuple[str, ...]
    given_up: int

    @property
    def all_unusable(self) -> tuple[str, ...]:
        """All rows that are not readings, as text for messages."""
        return (*self.lost, *self.unusable.values())

    def __len__(self) -> int:
        return len(self.buckets)

    def up_to(self, bucket: int, entity: str | None) -> npt.NDArray[np.bool_]:
        """Return a mask (N,) of the rows that belong to records up to a bucket and entity.

        With entity None, the mask is true for all rows up to the end of the bucket. A row that is
        not a reading belongs to no record; the mask is true for it.
        """
        if entity is None:
            return np.asarray(self.buckets <= bucket)
        own = (self.buckets == bucket) & (self.entities <= entity)
        return np.asarray((self.buckets < bucket) | own)


_Values = tuple[str | Objects, pd.Series]
"""The names of tags, either one name for all values or (N,), and the values (N,)."""


class RowReader:
    """A converter of the rows of a source into readings.

    Args:
        settings: settings of the source, with the meaning of the columns.
        roles: roles of the underlying source.
    """

    def __init__(self, settings: ReadingsSettings, roles: Roles) -> None:
        self._pivot: Pivot | None = settings.pivot
        self._quality: Quality | None = settings.row_quality
        self._cell_qualities = settings.cell_qualities
        self._roles = roles
        bucket = settings.bucket
        self.every = _microseconds(bucket.every) if bucket is not None else 1
        self._offset = _microseconds(bucket.offset) if bucket and bucket.offset else 0

    def read(self, fetched: Fetched, before: Watermark | None, now: datetime) -> Rows:
        """Return the fetched rows with their readings.

        Args:
            fetched: rows from the underlying source.
            before: the watermark after which the rows were read.
            now: the current time; a reading too far ahead of the current time is unusable.

        Raises:
            SourceConfigError: a column that the settings name is missing, or a tag has the name of
                a column that identifies records.
        """
        table = fetched.table
        if len(table):
            self._check(table)
        times = fetched.times
        if times is None:
            times = self._roles.times_of(table[self._roles.time])
        latest = naive_utc(now + BELIEVED_AHEAD)
        good = ~np.isnat(times) & (times >= EARLIEST) & (times <= latest)
        unusable = {}
        for place in np.flatnonzero(~good).tolist():
            written = table[self._roles.time].iloc[place]
            unusable[place] = f"{self._roles.time} {str(written)[:60]!r}"
        if self._pivot is not None and len(table):
            nameless = good & table[self._pivot.name].isna().to_numpy(dtype=bool)
            for place in np.flatnonzero(nameless).tolist():
                unusable[place] = f"a reading without {self._pivot.name}"
            good &= ~nameless
        micros = times.astype("datetime64[us]").astype(np.int64)
        buckets = np.where(good, self.beginnings(micros), NO_BUCKET)
        entities = self._entities(table)
        values = self._values(table[good])
        return Rows(
            before=before,
            after=fetched.watermark,
            buckets=buckets,
            entities=entities,
            times=micros,
            readings=_long(
                values, self._good(table)[good], buckets[good], entities[good], micros[good]
            ),
            tags=_names(values),
            unusable=unusable,
            lost=fetched.unreadable,
            given_up=fetched.given_up,
        )

    def beginning(self, micros: int) -> int:
        """Return the beginning of the bucket of a time; microseconds since 1970."""
        return (micros - self._offset) // self.every * self.every + self._offset

    def beginnings(self, micros: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return for each time (N,) the beginning of its bucket; microseconds since 1970."""
        return (micros - self._offset) // self.every * self.every + self._offset

    def _check(self, table: pd.DataFrame) -> None:
        needed = []
        if self._pivot is not None:
            needed += [("pivot.name", self._pivot.name), ("pivot.value", self._pivot.value)]
        if self._quality is not None:
            needed.append(("quality.column", self._quality.column))
        for key, column in needed:
            if column not in table.columns:
                names = there(map(str, table.columns), column)
                raise SourceConfigError(f"{key}: there is no column {column!r}", todo=names)

    def _entities(self, table: pd.DataFrame) -> Objects:
        if self._roles.entity is None:
            return np.full(len(table), "", dtype=object)
        entities = texts_of(table[self._roles.entity])
        entities[entities == None] = ""  # noqa: E711 -- elementwise
        return entities

    def _values(self, table: pd.DataFrame) -> list[_Values]:
        """Return tag names and values.

        A long table gives one pair for all rows; any other table gives one pair for each column.
        """
        if self._pivot is not None:
            if self._pivot.value not in table.columns:
                return []
            names = texts_of(table[self._pivot.name])
            self._check_tags(pd.unique(pd.Series(names, dtype=object)).tolist())
            return [(names, table[self._pivot.value])]
        others = {self._roles.time, self._roles.key, self._roles.entity}
        others.add(self._quality.column if self._quality is not None else None)
        table = good_cells(table, self._cell_qualities)
        return [(str(name), table[name]) for name in table.columns if name not in others]

    def _check_tags(self, tags: Sequence[str]) -> None:
        roles = {self._roles.time: "time", self._roles.entity or "": "entity"}
        for tag in tags:
            if tag in roles:
                raise SourceConfigError(
                    f"a tag has the name {tag!r}, which is also the column of the {roles[tag]}",
                    todo="give the tag or the column another name; in a database, a query can "
                    f"rename the column: SELECT {tag} AS another_name, ...",
                )

    def _good(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return a mask (N,) of the rows whose quality is good."""
        if self._quality is None or not len(table):
            return np.ones(len(table), dtype=bool)
        good = {str(value) for value in self._quality.good}
        return np.array(
            [text in good for text in texts_of(table[self._quality.column])], dtype=bool
        )


def _long(
    values: Sequence[_Values],
    good: npt.NDArray[np.bool_],
    buckets: npt.NDArray[np.int64],
    entities: Objects,
    times: npt.NDArray[np.int64],
) -> pd.DataFrame:
    """Return the values of N rows that are good and not missing, one row for each value."""
    parts = []
    for names, column in values:
        numbers, words = split_cells(column)
        kept = good & ~(np.isnan(numbers) & (words == None))  # noqa: E711 -- elementwise
        part = {
            "bucket": buckets[kept],
            "entity": entities[kept],
            "tag": names if isinstance(names, str) else names[kept],
            "time": times[kept],
            "number": numbers[kept],
            "word": words[kept],
        }
        parts.append(pd.DataFrame(part))
    if not parts:
        return pd.DataFrame(columns=list(READING_COLUMNS))
    found = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    return found.astype({"entity": "category", "tag": "category"})


def _names(values: Sequence[_Values]) -> frozenset[str]:
    found: set[str] = set()
    for names, _ in values:
        found |= {names} if isinstance(names, str) else set(names)
    return frozenset(found)


def check_count(tags: Collection[str]) -> None:
    """Check the number of tags: very many tags show that a pivot names the wrong column.

    Raises:
        SourceConfigError: there are more than `MOST_TAGS` tags.
    """
    if len(tags) > MOST_TAGS:
        raise SourceConfigError(
            f"pivot.name: the column holds more than {MOST_TAGS:,} names",
            todo="set pivot.name to the column with the names of the tags, or read fewer tags by a "
            "query",
        )


@lru_cache(maxsize=10_000)
def bucket_text(micros: int) -> str:
    """Return the beginning of a bucket as text, which is the key of its records.

    >>> bucket_text(60_000_000)
    '1970-01-01T00:01:00Z'
    """
    return f"{pd.Timestamp(int(micros), unit='us').isoformat()}Z"


def _microseconds(length: timedelta) -> int:
    return round(length / timedelta(microseconds=1))
