"""Rows of a source as readings of tags, in little memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
"""More columns than this are no tags: the pivot names the wrong column."""

READING_COLUMNS = ("bucket", "entity", "tag", "time", "number", "word")
NO_BUCKET = np.iinfo(np.int64).min
"""Stands for the bucket of a row that is no reading."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """N rows of the source below, in its order.

    Attributes:
        before: the watermark they were read after; None at the first row.
        after: the watermark behind them.
        buckets: (N,) beginnings of their buckets, microseconds since 1970; `NO_BUCKET` if a row is
            no reading.
        entities: (N,) text.
        times: (N,) microseconds since 1970.
        readings: the values in them, a row each with `READING_COLUMNS`: numbers and words.
        tags: the columns that they make, those without a value included.
        odd: rows that are no reading, as a message shows them, by their place.
        lost: rows that the source could not read, and which have no place.
        given_up: keys that the source no longer looks for.
    """

    before: Watermark | None
    after: Watermark | None
    buckets: npt.NDArray[np.int64]
    entities: Objects
    times: npt.NDArray[np.int64]
    readings: pd.DataFrame
    tags: frozenset[str]
    odd: Mapping[int, str]
    lost: tuple[str, ...]
    given_up: int

    @property
    def all_odd(self) -> tuple[str, ...]:
        """All that is no reading."""
        return (*self.lost, *self.odd.values())

    def __len__(self) -> int:
        return len(self.buckets)

    def up_to(self, bucket: int, entity: str | None) -> npt.NDArray[np.bool_]:
        """Return which rows (N,) lie in a record up to this one; entity None: in its bucket or before.

        A row that is no reading lies in none, and before every record.
        """
        if entity is None:
            return np.asarray(self.buckets <= bucket)
        own = (self.buckets == bucket) & (self.entities <= entity)
        return np.asarray((self.buckets < bucket) | own)


_Values = tuple[str | Objects, pd.Series]
"""Values (N,) and the names of their tags; one name for all, or (N,)."""


class RowReader:
    """Makes readings of the rows of a source.

    Args:
        settings: how the rows are to be understood.
        roles: of the source below.
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
        """Return what a source returned as readings.

        Raises:
            SourceConfigError: a column that the settings name is not there, or a tag has the name
                of a column that identifies records.
        """
        table = fetched.table
        if len(table):
            self._check(table)
        times = fetched.times
        if times is None:
            times = self._roles.times_of(table[self._roles.time])
        latest = naive_utc(now + BELIEVED_AHEAD)
        good = ~np.isnat(times) & (times >= EARLIEST) & (times <= latest)
        odd = {}
        for place in np.flatnonzero(~good).tolist():
            written = table[self._roles.time].iloc[place]
            odd[place] = f"{self._roles.time} {str(written)[:60]!r}"
        if self._pivot is not None and len(table):
            nameless = good & table[self._pivot.name].isna().to_numpy(dtype=bool)
            for place in np.flatnonzero(nameless).tolist():
                odd[place] = f"a reading without {self._pivot.name}"
            good &= ~nameless
        micros = times.astype("datetime64[us]").astype(np.int64)
        floors = (micros - self._offset) // self.every * self.every + self._offset
        buckets = np.where(good, floors, NO_BUCKET)
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
            odd=odd,
            lost=fetched.unreadable,
            given_up=fetched.given_up,
        )

    def _check(self, table: pd.DataFrame) -> None:
        wanted = []
        if self._pivot is not None:
            wanted += [("pivot.name", self._pivot.name), ("pivot.value", self._pivot.value)]
        if self._quality is not None:
            wanted.append(("quality.column", self._quality.column))
        for key, column in wanted:
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
        """Return names and values: of all readings at once in a long table, else column by column."""
        if self._pivot is not None:
            if self._pivot.value not in table.columns:
                return []
            names = texts_of(table[self._pivot.name])
            self._check_tags(pd.unique(pd.Series(names, dtype=object)).tolist())
            return [(names, table[self._pivot.value])]
        apart = {self._roles.time, self._roles.key, self._roles.entity}
        apart.add(self._quality.column if self._quality is not None else None)
        table = good_cells(table, self._cell_qualities)
        return [(str(name), table[name]) for name in table.columns if name not in apart]

    def _check_tags(self, tags: Sequence[str]) -> None:
        roles = {self._roles.time: "time", self._roles.entity or "": "entity"}
        for tag in tags:
            if tag in roles:
                raise SourceConfigError(
                    f"a tag has the name {tag!r}, as the column of the {roles[tag]}",
                    todo="give the tag or the column another name; in a database a query can: "
                    f"SELECT {tag} AS another_name, ...",
                )

    def _good(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which rows (N,) are good readings."""
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
    """Return values of N rows that are good and there, a row each."""
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
    """Refuse what can hardly be names of tags.

    Raises:
        SourceConfigError: there are too many.
    """
    if len(tags) > MOST_TAGS:
        raise SourceConfigError(
            f"pivot.name: the column holds more than {MOST_TAGS:,} names",
            todo="name the column that holds the name of the tag, or read fewer tags by a query",
        )


def _microseconds(length: timedelta) -> int:
    return round(length / timedelta(microseconds=1))
