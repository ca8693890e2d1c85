"""Records made from the readings of closed buckets, for streams, whose readings arrive once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from aemon.frame import Roles, printable
from aemon.sources.json_values import NOT_PLAIN, number_in_range
from aemon.sources.readings.aggregating import aggregated, as_table, without_numbers
from aemon.sources.readings.cells import texts_of
from aemon.sources.readings.gaps import with_held_cells
from aemon.sources.readings.making import making_of
from aemon.sources.readings.rows import MOST_TAGS, READING_COLUMNS, RowReader
from aemon.sources.readings.settings import ReadingsSettings
from aemon.sources.source import Fetched

TIME, KEY, ENTITY = "$time", "$key", "$entity"
AHEAD = timedelta(hours=1)
"""A reading further ahead of the clock is refused: its bucket would stay open for too long."""

NO_TAG, TIME_AHEAD, TOO_MANY_TAGS = "no_tag", "time_ahead", "too_many_columns"
_NAME_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Collected:
    """Readings of N rows.

    Attributes:
        readings: a row for each value, with `READING_COLUMNS`.
        pairs: bucket and entity of the records that the rows belong to, each pair once.
    """

    readings: pd.DataFrame
    pairs: pd.DataFrame


class BucketRecords:
    """A maker of records from readings, by the keys `pivot`, `bucket`, `quality` and `gaps`.

    Args:
        settings: settings of the source.

    Attributes:
        roles: the columns that identify a record.
        every: length of a bucket. Without a bucket, a record holds readings with equal times, and
            the length is one microsecond.
        wait: how long after its end a bucket waits for readings.
        back: how long before its bucket a record may need earlier readings.
    """

    def __init__(self, settings: ReadingsSettings) -> None:
        self._settings = settings
        self.wait = settings.readings_wait or timedelta(0)
        self.roles = Roles(time=TIME, key=KEY, entity=ENTITY)
        self._reader = RowReader(settings, self.roles)
        self._making = making_of(settings, self._reader.every)
        self.every = self._reader.every * _US
        self.back = self._making.back * _US
        self._tags: set[str] = set()

    def begin_of(self, time: datetime) -> datetime:
        """Return the beginning of the bucket that a time belongs to."""
        return _EPOCH + self._reader.beginning((time - _EPOCH) // _US) * _US

    def name_of(self, record: Mapping[str, Any]) -> str:
        """Return a short name of a reading's tag, or of its columns if the reading has no tag.

        Readings of several tags may have equal times: the name distinguishes them.
        """
        pivot = self._settings.pivot
        if pivot is None:
            return _short(tuple(sorted(record)))
        return _short((str(record.get(pivot.name)),))

    def values_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row that are not missing, in a form that no later step refuses.

        A whole number too large for a database becomes a float, or is missing; text loses what no
        database can store.
        """
        found = {
            name: printable(value) if isinstance(value, str) else number_in_range(value)
            for name, value in record.items()
        }
        return {name: value for name, value in found.items() if value is not None}

    def problem_of(self, record: Mapping[str, Any], time: datetime, now: datetime) -> str | None:
        """Return the reason why a row cannot be kept as a reading; None if it can be kept."""
        if time > now + AHEAD:
            return TIME_AHEAD
        if any(isinstance(value, dict | list) for value in record.values()):
            return NOT_PLAIN
        pivot = self._settings.pivot
        return None if pivot is None else self._problem_of_tag(record.get(pivot.name))

    def _problem_of_tag(self, tag: Any) -> str | None:
        text = "" if tag is None else str(tag)
        if text in ("", TIME, KEY, ENTITY):
            return NO_TAG
        if text not in self._tags:
            if len(self._tags) >= MOST_TAGS:
                return TOO_MANY_TAGS
            self._tags.add(text)
        return None

    def collect(
        self,
        records: Sequence[Mapping[str, Any]],
        entities: Sequence[str],
        times: Sequence[datetime],
        now: datetime,
    ) -> Collected:
        """Return the readings of N rows.

        Args:
            records: (N,) values of the rows by column.
            entities: (N,) entity of each row.
            times: (N,) time of each row.
            now: the current time.
        """
        table = pd.DataFrame.from_records([dict(one) for one in records])
        for name in self._needed:
            if name not in table.columns:
                table[name] = None
        table[TIME] = list(times)
        table[KEY] = ""
        table[ENTITY] = list(entities)
        naive = [time.astimezone(UTC).replace(tzinfo=None) for time in times]
        fetched = Fetched(
            table=table,
            watermark=None,
            more=False,
            times=np.array(naive, dtype="datetime64[us]"),
        )
        rows = self._reader.read(fetched, None, now)
        pairs = pd.DataFrame({"bucket": rows.buckets, "entity": rows.entities})
        return Collected(readings=rows.readings, pairs=pairs.drop_duplicates())

    @property
    def _needed(self) -> list[str]:
        """The columns that the settings name; the value of a column that a row lacks is missing."""
        settings = self._settings
        names = [] if settings.pivot is None else [settings.pivot.name, settings.pivot.value]
        if settings.row_quality is not None:
            names.append(settings.row_quality.column)
        for name, quality in settings.cell_qualities.items():
            names += [name, quality.column]
        return names

    def make(self, collected: Sequence[Collected], carried: pd.DataFrame) -> pd.DataFrame:
        """Return the records of all collected readings: bucket, entity and a column for each tag.

        Args:
            collected: the readings of the records.
            carried: readings of earlier buckets, for increases and held values.
        """
        pairs = pd.concat([one.pairs for one in collected], ignore_index=True).drop_duplicates()
        records = pairs.sort_values(["bucket", "entity"], ignore_index=True)
        readings = _together(collected, carried)
        cells = aggregated(readings, self._making.aggregations, self._making.every)
        table = pd.concat([records, as_table(cells, records)], axis=1)
        return with_held_cells(table, readings, self._making.holds)

    def words_for_numbers(self, collected: Sequence[Collected]) -> dict[str, str]:
        """Return tag -> example, for tags that need numbers and have only texts such as 12,5."""
        return without_numbers(_together(collected, _none()), self._making.aggregations)

    def last_readings(self, collected: Sequence[Collected], carried: pd.DataFrame) -> pd.DataFrame:
        """Return the last reading of each entity and tag that later records need."""
        if not self.back:
            return _none()
        readings = _together(collected, carried)
        ways = self._making.aggregations
        if ways != "increase":
            needed = set(self._making.holds)
            if not isinstance(ways, str):
                needed |= {tag for tag, way in ways.items() if way == "increase"}
            readings = readings[readings["tag"].astype(str).isin(needed)]
        ordered = readings.sort_values("time", kind="stable")
        return ordered[~ordered.duplicated(["entity", "tag"], keep="last")]

    def carry(self, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """Return carried readings from stored rows with entity, time, tag, number and word."""
        if not rows:
            return _none()
        table = pd.DataFrame([dict(row) for row in rows])
        micros = np.array([(row["time"] - _EPOCH) // _US for row in rows], dtype=np.int64)
        return pd.DataFrame(
            {
                "bucket": self._reader.beginnings(micros),
                "entity": texts_of(table["entity"]),
                "tag": table["tag"].astype(object),
                "time": micros,
                "number": table["number"].astype(np.float64),
                "word": table["word"].astype(object).where(table["word"].notna(), None),
            }
        )


def _together(collected: Sequence[Collected], carried: pd.DataFrame) -> pd.DataFrame:
    parts = [carried, *(one.readings for one in collected)]
    parts = [part for part in parts if len(part)]
    if not parts:
        return _none()
    return pd.concat([part.astype({"entity": object, "tag": object}) for part in parts])


def _none() -> pd.DataFrame:
    types = {"bucket": np.int64, "time": np.int64, "number": np.float64}
    return pd.DataFrame(
        {name: pd.Series([], dtype=types.get(name, object)) for name in READING_COLUMNS}
    )


@lru_cache(maxsize=20_000)
def _short(names: tuple[str, ...]) -> str:
    text = "\0".join(names).encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=_NAME_BYTES).hexdigest()
