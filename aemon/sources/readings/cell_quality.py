"""Removal of cells of bad quality, in tables that have a column for each measurement."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.readings.cells import texts_of
from aemon.sources.readings.settings import Quality
from aemon.sources.source import ChecksApart, Fetched, Replayable, there


def good_cells(table: pd.DataFrame, qualities: Mapping[str, Quality]) -> pd.DataFrame:
    """Return a table in which cells of bad quality are missing values.

    A cell without a quality counts as bad. The columns that hold qualities are removed.

    Args:
        table: N records.
        qualities: column -> the column with the quality of its cells, and the good qualities.

    Raises:
        SourceConfigError: the table lacks a column that the settings name.
    """
    if not qualities:
        return table
    of_qualities = {quality.column for quality in qualities.values()}
    if len(table):
        _check(table, qualities)
        good = {
            name: pd.Series(texts_of(table[quality.column]), index=table.index).isin(
                {str(value) for value in quality.good}
            )
            for name, quality in qualities.items()
        }
        table = table.assign(**{name: table[name].where(kept) for name, kept in good.items()})
    return table.drop(columns=[name for name in table.columns if name in of_qualities])


def _check(table: pd.DataFrame, qualities: Mapping[str, Quality]) -> None:
    """Raise a `SourceConfigError` if the table lacks a column that the settings name."""
    for name, quality in qualities.items():
        for key, column in ((f"quality.{name}", name), (f"quality.{name}.column", quality.column)):
            if column not in table.columns:
                raise SourceConfigError(
                    f"{key}: there is no column {column!r}",
                    todo=there(map(str, table.columns), column),
                )


class GoodCells:
    """A source that returns the records of another source without the cells of bad quality.

    Args:
        below: the source of the records.
        qualities: column -> the column with the quality of its cells, and the good qualities.
    """

    def __init__(self, below: Replayable, qualities: Mapping[str, Quality]) -> None:
        self._below = below
        self._qualities = qualities

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""
        return self._below.roles

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether the reading order of the records is their order of arrival."""
        return self._below.in_order_of_arrival

    def hides(self, mark: Watermark | None) -> bool:
        """Return whether new records may be older than a watermark; `fetch` misses such records."""
        return self._below.hides(mark)

    def recognises(self, mark: Watermark) -> bool:
        """Return whether the position of a watermark has the form that the source below writes."""
        return self._below.recognises(mark)

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark, oldest first.

        Without a watermark (None), reading begins at the first record.

        Raises:
            SourceError: the source cannot be read.
            SourceConfigError: the table lacks a column that the settings name.
        """
        return self._good(self._below.fetch(after, limit))

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first.

        Raises:
            SourceError: the source cannot be read.
            SourceConfigError: the table lacks a column that the settings name.
        """
        return self._good(self._below.newest(until, limit))

    def count(self, limit: int) -> int:
        """Return how many records the source holds; stop counting at `limit`."""
        return self._below.count(limit)

    def check_apart(self) -> None:
        """Raise an error if the records of different entities cannot be distinguished.

        Raises:
            SourceConfigError: no column or key shows which records belong together.
            SourceError: the source cannot be read.
        """
        if isinstance(self._below, ChecksApart):
            self._below.check_apart()

    def describe(self) -> str:
        """Return a short description of the source below."""
        return self._below.describe()

    def close(self) -> None:
        """Close the source below."""
        self._below.close()

    def _good(self, fetched: Fetched) -> Fetched:
        return replace(fetched, table=good_cells(fetched.table, self._qualities))
