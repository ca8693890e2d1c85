"""A walk over the rows of a source that makes records from whole buckets, in bounded memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.records import Watermark
from aemon.sources.readings.aggregating import aggregated, as_table, without_numbers
from aemon.sources.readings.gaps import with_held_cells
from aemon.sources.readings.position import Place
from aemon.sources.readings.rows import NO_BUCKET, Rows, check_count

Behind = Callable[[Rows, int], Watermark | None]
"""A function: rows and a number n -> the watermark after the first n rows; None if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """The rules for making records from readings.

    Attributes:
        aggregations: how the readings of a tag become one value: one aggregation for all tags, or
            tag -> aggregation.
        every: microseconds from one bucket to the next.
        back: how long before its bucket a record may need earlier readings, in microseconds.
        holds: tag -> maximum time in microseconds for which the last reading fills a gap.
    """

    aggregations: Mapping[str, str] | str
    every: int
    back: int = 0
    holds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Walked:
    """The result of a walk.

    Attributes:
        table: (N, ...) records in order: bucket, entity and a column for each tag.
        place: the place of the last record handed over; None if no record was ever handed over.
        more: whether the walk made more records than the limit.
        late: number of rows that arrived after their records were handed over.
        unreadable: rows that are not readings, as text for messages.
        given_up: number of missing keys that the source no longer looks for.
    """

    table: pd.DataFrame
    place: Place | None
    more: bool
    late: int
    unreadable: tuple[str, ...]
    given_up: int = 0


class Walk:
    """A walk that collects the readings of rows and makes records from them, bucket by bucket.

    Args:
        place: the place of the last record handed over; None if no record was handed over.
        making: the rules for making records.
    """

    def __init__(self, place: Place | None, making: Making) -> None:
        self._place = place
        self._making = making
        self._bucket = place.bucket if place is not None else NO_BUCKET
        self._entity = place.entity if place is not None else None
        self._start = place.start if place is not None else None
        self._over = 0  # rows of records that were already made
        self._rows: list[Rows] = []
        self._readings: list[pd.DataFrame] = []
        self._pairs: list[pd.DataFrame] = []
        self._made: list[pd.DataFrame] = []
        self._unreadable: list[str] = []
        self._tags = set(place.tags) if place is not None else set[str]()
        self._given_up = 0
        self.tags_of_words: dict[str, str] = {}  # tags that need numbers and have none -> example
        self.made = 0
        self.newest = NO_BUCKET

    @property
    def held(self) -> int:
        """The number of readings held in memory."""
        return sum(map(len, self._readings))

    def add(self, rows: Rows) -> int:
        """Add the next rows; return the number of rows whose records were already made."""
        real = rows.buckets != NO_BUCKET
        over = rows.up_to(self._bucket, self._entity) & real
        self._over += int(over.sum())
        if real.any():
            self.newest = max(self.newest, int(rows.buckets.max()))
        new = real & ~over
        if new.any():
            pairs = {"bucket": rows.buckets[new], "entity": rows.entities[new]}
            self._pairs.append(pd.DataFrame(pairs).drop_duplicates())
        self._readings.append(self._needed_readings(rows.readings))
        self._rows.append(replace(rows, readings=rows.readings.iloc[:0]))
        self._tags |= rows.tags
        check_count(self._tags)
        return int(over.sum())

    def ready(self, before: int) -> int:
        """Return the number of records before a bucket, whether they are already made or not."""
        return self.made + len(self._open_records(before))

    def make(self, before: int) -> None:
        """Make the records of all buckets that begin before a time; drop unneeded readings."""
        records = self._open_records(before)
        if not len(records):
            return
        readings = pd.concat(self._readings, ignore_index=True)
        making = self._making
        cells = aggregated(readings[readings["bucket"] < before], making.aggregations, making.every)
        self.tags_of_words |= without_numbers(readings, making.aggregations)
        table = pd.concat([records, as_table(cells, records)], axis=1)
        self._made.append(with_held_cells(table, readings, making.holds))
        self.made += len(records)
        self._bucket, self._entity = int(records["bucket"].iloc[-1]), None
        self._readings = [self._needed_readings(readings)]
        pairs = self._pairs[0]
        self._pairs = [pairs[pairs["bucket"] >= before]]

    def forget_rows(self) -> None:
        """Drop the first rows, up to the first row that a later record needs.

        The caller must then hand over all records made so far.
        """
        while self._rows and not self._needed(self._rows[0], self._bucket, self._entity).any():
            self._pass(self._rows.pop(0))

    def finish(self, limit: int, behind: Behind) -> Walked:
        """Return the first `limit` records that were made, with the place of the last of them."""
        made = pd.concat(self._made, ignore_index=True) if self._made else _no_records()
        table = made.iloc[:limit].reindex(columns=["bucket", "entity", *sorted(self._tags)])
        bucket, entity = self._bucket, self._entity
        if len(table):
            bucket, last = int(table["bucket"].iloc[-1]), str(table["entity"].iloc[-1])
            rest = made["bucket"].iloc[limit:]
            entity = last if (rest == bucket).any() else None
        if bucket == NO_BUCKET:
            texts = (
                *self._unreadable,
                *(text for rows in self._rows for text in rows.all_unusable),
            )
            return Walked(table=table, place=None, more=False, late=0, unreadable=texts)
        left = self._left_over(bucket, entity, behind)
        known = self._place.known if self._place is not None else 0
        uncounted = known < 0  # see `UNCOUNTED` in `source`
        place = Place(
            bucket=bucket,
            entity=entity,
            known=left + max(0, known - self._over),
            start=self._start,
            tags=tuple(sorted(self._tags)),
        )
        return Walked(
            table=table,
            place=place,
            more=len(made) > limit,
            late=0 if uncounted else max(0, self._over - known),
            unreadable=tuple(self._unreadable),
            given_up=self._given_up,
        )

    def _left_over(self, bucket: int, entity: str | None, behind: Behind) -> int:
        """Move the start to the first row that later records need.

        Return how many rows after the start belong to records up to a bucket and entity.
        """
        left = 0
        is_start_found = False
        for rows in self._rows:
            real = rows.buckets != NO_BUCKET
            over = rows.up_to(bucket, entity) & real
            if is_start_found:
                left += int(over.sum())
                continue
            needed = self._needed(rows, bucket, entity)
            if not needed.any():
                self._pass(rows)
                continue
            is_start_found = True
            first = int(needed.argmax())
            moved = behind(rows, first) if first and not rows.lost else None
            if moved is not None:
                self._start = moved
                self._given_up += rows.given_up
                texts = rows.unusable
                self._unreadable += [texts[place] for place in sorted(texts) if place < first]
            left += int(over[first if moved is not None else 0 :].sum())
        return left

    def _pass(self, rows: Rows) -> None:
        self._start = rows.after
        self._given_up += rows.given_up
        self._unreadable += rows.all_unusable

    def _needed(self, rows: Rows, bucket: int, entity: str | None) -> npt.NDArray[np.bool_]:
        """Return a mask (N,) of the rows that records after a bucket and entity need."""
        real = rows.buckets != NO_BUCKET
        needed = ~rows.up_to(bucket, entity)
        if self._making.back:
            needed |= rows.buckets >= bucket - self._making.back
        return np.asarray(needed & real)

    def _needed_readings(self, readings: pd.DataFrame) -> pd.DataFrame:
        """Return the readings that are needed for records which are not made yet."""
        if self._bucket == NO_BUCKET:
            return readings
        first = self._bucket - self._making.back
        if self._entity is None and not self._making.back:
            first += 1  # all records of the bucket are made
        return readings[readings["bucket"] >= first]

    def _open_records(self, before: int) -> pd.DataFrame:
        """Return bucket and entity of the N records that can be made now, in order."""
        pairs = [pairs for pairs in self._pairs if len(pairs)]
        if not pairs:
            return _no_records()
        together = pd.concat(pairs, ignore_index=True).drop_duplicates()
        self._pairs = [together]
        found = together[together["bucket"] < before]
        return found.sort_values(["bucket", "entity"], ignore_index=True)


def _no_records() -> pd.DataFrame:
    return pd.DataFrame(
        {"bucket": np.empty(0, dtype=np.int64), "entity": np.empty(0, dtype=object)}
    )
