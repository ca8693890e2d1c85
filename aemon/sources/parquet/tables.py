"""Rows of Parquet files as one table, with keys and entities from the files' names."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.sources.csv.settings import FromPath
from aemon.sources.file_systems.opening import FilePath
from aemon.sources.parquet.columns import as_table
from aemon.sources.parquet.footers import Footer
from aemon.sources.parquet.places import Place
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.source import there
from aemon.times.time_apart import join_times

FILE_ROW = "file:row"
"""Name of the key column if no column of the files identifies a record."""

FROM_PATH = "file:entity"
"""Name of the entity column if the names of files give the entity."""


class Tables:
    """The conversion of rows to tables.

    Args:
        settings: names of the columns of time, key and entity, and other columns to read.

    Attributes:
        roles: the columns of time, key and entity; the order of day and month is added once it is
            known.
        keyed: whether a column identifies the records.
        by_file: whether each file has its own entity.
        required: the columns that every file must hold.
    """

    def __init__(self, settings: ParquetSource) -> None:
        by_path = settings.entity if isinstance(settings.entity, FromPath) else None
        entity = None if isinstance(settings.entity, FromPath) else settings.entity
        self._times = (settings.time,) if isinstance(settings.time, str) else settings.time
        self._pattern = re.compile(by_path.from_path) if by_path else None
        self._chosen = settings.columns
        self.keyed, self.by_file = settings.key is not None, by_path is not None
        self.required = tuple(name for name in (*self._times, settings.key, entity) if name)
        self._exact = tuple(name for name in (settings.key, entity) if name)
        self.roles = Roles(
            time=" ".join(self._times),
            key=settings.key or FILE_ROW,
            entity=FROM_PATH if by_path else entity,
            timezone=settings.timezone,
            time_format=settings.time_format,
        )

    def check(self, path: FilePath, footer: Footer) -> None:
        """Check that a file holds the columns of time, key and entity.

        Raises:
            SourceConfigError: a column is missing, or holds lists or maps.
        """
        for name in self.required:
            if name in footer.left_out:
                raise SourceConfigError(
                    f"{path}: column {name!r} holds lists or maps, not single values"
                )
            if name not in footer.columns:
                raise SourceConfigError(
                    f"{path}: no column {name!r}", todo=there(footer.columns, name)
                )

    def check_chosen(self, footers: Mapping[str, Footer]) -> None:
        """Check that each column of the setting `columns` is in a file.

        Raises:
            SourceConfigError: a column of the setting is in no file. Without files there is no
                error.
        """
        known = {name for footer in footers.values() for name in footer.columns}
        for name in self._chosen or ():
            if known and name not in known:
                raise SourceConfigError(
                    f"columns: no file has a column {name!r}", todo=there(known, name)
                )

    def names(self, footer: Footer) -> tuple[str, ...]:
        """Return the columns to read from a file."""
        if self._chosen is None:
            return footer.columns
        needed = {*self.required, *self._chosen}
        return tuple(name for name in footer.columns if name in needed)

    def make(
        self, arrow: Any, footer: Footer, place: Place, file: tuple[str, FilePath]
    ) -> tuple[pd.DataFrame, npt.NDArray[np.datetime64]]:
        """Return N rows as records, and their event times (N,).

        Args:
            arrow: the rows as an Arrow table.
            footer: the footer of the file.
            place: the place where the rows begin.
            file: name and path of the file.
        """
        name, path = file
        first_name = place.name or name
        table = as_table(arrow, self.names(footer), self._exact)
        if not self.keyed:
            prefix = f"{first_name}#{place.generation}" if place.generation else first_name
            first = place.rows + place.shift + 1
            keys = [f"{prefix}:{number}" for number in range(first, first + len(table))]
            table[FILE_ROW] = pd.Series(keys, dtype="str")
        if self._pattern is not None:
            table[FROM_PATH] = self._entity(path, first_name)
        if len(self._times) > 1:
            table = join_times(table, self._times, self.roles.time)
        return table, self.roles.times_of(table[self.roles.time])

    def empty(self, footers: Mapping[str, Footer]) -> pd.DataFrame:
        """Return a table without records, with the columns of the files."""
        columns = dict.fromkeys(name for one in footers.values() for name in self.names(one))
        own = [FILE_ROW] if not self.keyed else []
        entity = [FROM_PATH] if self._pattern is not None else []
        table = pd.DataFrame(columns=[*(columns or self.required), *own, *entity])
        return join_times(table, self._times, self.roles.time) if len(self._times) > 1 else table

    def fingerprint(self, table: pd.DataFrame) -> str:
        """Return a hash that identifies the last record of a table; empty for an empty table.

        Missing cells are left out, so that a new column without a value does not change the hash.
        """
        if not len(table):
            return ""
        row = table.drop(columns=[FILE_ROW, FROM_PATH], errors="ignore").iloc[-1]
        cells = {str(name): _shown(value) for name, value in row.items() if not _is_missing(value)}
        text = json.dumps(cells, sort_keys=True)
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()

    def _entity(self, path: FilePath, name: str) -> str:
        found = self._pattern.search(name) if self._pattern is not None else None
        if found is None:
            raise SourceConfigError(
                f"{path}: its name {name!r} does not fit entity.from_path",
                todo="correct the pattern, or exclude the file: set path to a pattern that fits "
                "only the files to read",
            )
        return found[1] if found.re.groups else found[0]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value != value  # noqa: PLR0124 -- NaN and NaT


def _shown(value: object) -> str:
    """Return a value as text; 3.0 as "3", because missing cells turn whole numbers into floats."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return all tables as one table; cells of columns that a table lacks are missing."""
    some = [table for table in tables if len(table)]
    if len(some) == 1:
        return some[0]
    return pd.concat(some, ignore_index=True)
