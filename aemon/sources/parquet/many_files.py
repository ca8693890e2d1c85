"""Reads the footers and the rows of the Parquet files that a path names."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.sources.csv.files import find_files
from aemon.sources.file_systems.opening import FilePath, State
from aemon.sources.parquet.footers import Footer, IncompleteError, damaged, read_footer, state_of
from aemon.sources.parquet.places import Place
from aemon.sources.parquet.rows import ROWS_AT_ONCE, RowReader
from aemon.sources.parquet.settings import ENDINGS
from aemon.sources.parquet.tables import Tables

_MOST_NAMES = 5  # in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """The footers of all files at one time, with warnings.

    Attributes:
        footers: footers of the complete files, by name, in the order of names.
        warnings: sentences for the user.
        note: a sentence to report at the first look only; may be empty.
    """

    footers: dict[str, Footer]
    warnings: tuple[str, ...]
    note: str


class ManyFiles:
    """The Parquet files that a path names, as the last call of `look` found the files.

    Args:
        path: one file, a folder or a pattern.
        tables: converts rows to records.

    Attributes:
        paths: path of each file by name, including incomplete files.
    """

    def __init__(self, path: FilePath, tables: Tables) -> None:
        self.paths: dict[str, FilePath] = {}
        self._path = path
        self._tables = tables
        # The two states of a file: from a listing, and current.
        self._footers: dict[FilePath, tuple[tuple[State, State], Footer]] = {}
        self._reader: tuple[FilePath, State, RowReader] | None = None  # kept open for the next read

    def look(self) -> Look:
        """Find the files and read the footers of new and changed files.

        Raises:
            SourceError: there is no file, or the only file cannot be read.
            SourceConfigError: a file lacks a column.
        """
        files = find_files(self._path, ENDINGS)
        named = self._path.name  # a file named in the settings is read even if its name is hidden
        self.paths = {
            name: path for name, path in files.read.items() if name == named or not _is_hidden(name)
        }
        warnings = [files.warning]
        footers: dict[str, Footer] = {}
        for name, path in self.paths.items():
            try:
                footers[name] = self._footer(path)
            except IncompleteError as error:
                if len(self.paths) == 1:
                    raise
                warnings.append(str(error))
                continue
            self._tables.check(path, footers[name])
        known = set(self.paths.values())
        self._footers = {path: self._footers[path] for path in self._footers if path in known}
        self._tables.check_chosen(footers)
        return Look(footers=footers, warnings=tuple(warnings), note=_note(footers))

    def piece(
        self, name: str, footer: Footer, start: Place, count: int, *, continues: bool = False
    ) -> tuple[pd.DataFrame, npt.NDArray[np.datetime64]]:
        """Return `count` rows of a file as N records (fewer at its end), and the event times (N,).

        With `continues`, the file stays open, because the next call probably begins where this call
        ends.

        Raises:
            IncompleteError: the rows cannot be read at present.
        """
        path = self.paths[name]
        state = self._footers[path][0][1]
        reader = self._reader_at(path, state, start.rows) if continues else None
        if reader is None:
            top = _top_of(self._tables.names(footer), footer)
            reader = RowReader(path, footer, top, start.rows)
        try:
            arrow = reader.take(count)
            if state_of(path, now=True) != state:
                raise damaged(path, OSError("the file changed while it was read"))
        except IncompleteError:
            reader.close()
            raise
        if continues and reader.at < footer.rows:
            self._reader = path, state, reader
        else:
            reader.close()
        return self._tables.make(arrow, footer, start, (name, path))

    def _reader_at(self, path: FilePath, state: State, row: int) -> RowReader | None:
        """Return the open file if its next row is `row`; otherwise close the file."""
        if self._reader is None:
            return None
        reader = self._reader[2]
        if (*self._reader[:2], reader.at) == (path, state, row):
            self._reader = None
            return reader
        self.close()
        return None

    def mark_of(self, name: str, row: int) -> str:
        """Return the fingerprint of a row of a file; rows are counted from 0.

        Raises:
            IncompleteError: the row cannot be read at present.
        """
        footer = self._footer(self.paths[name])
        return self._tables.fingerprint(self.piece(name, footer, Place(row, footer.mark), 1)[0])

    def times_of(self, name: str) -> npt.NDArray[np.datetime64]:
        """Return the event times of all rows of a file.

        Raises:
            IncompleteError: the rows cannot be read at present.
        """
        return self.some_times(name, 0, self._footer(self.paths[name]).rows)

    def some_times(self, name: str, row: int, count: int) -> npt.NDArray[np.datetime64]:
        """Return the event times of at most `count` rows from a row on; read only needed columns.

        Raises:
            IncompleteError: the rows cannot be read at present.
        """
        path = self.paths[name]
        footer = self._footer(path)
        reader = RowReader(path, footer, _top_of(self._tables.required, footer), row)
        try:
            found = []
            while count > 0 and reader.at < footer.rows:
                place = Place(reader.at, footer.mark)
                arrow = reader.take(min(count, ROWS_AT_ONCE))
                found.append(self._tables.make(arrow, footer, place, (name, path))[1])
                count -= len(found[-1])
        finally:
            reader.close()
        return np.concatenate(found) if found else np.empty(0, dtype="datetime64[us]")

    def close(self) -> None:
        """Close the file that is kept open for the next read."""
        if self._reader is not None:
            self._reader[2].close()
            self._reader = None

    def _footer(self, path: FilePath) -> Footer:
        state = state_of(path)
        known = self._footers.get(path)
        if known is None or known[0][0] != state or not state.certain:
            current = state_of(path, now=True)
            known = self._footers[path] = (state, current), read_footer(path)
        return known[1]


def _is_hidden(name: str) -> bool:
    """Return whether the name of a file, or of a folder above, begins with `_` or a dot.

    >>> _is_hidden("_temporary/0/part-0.parquet"), _is_hidden("pump=1/part-0.parquet")
    (True, False)
    """
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _top_of(names: tuple[str, ...], footer: Footer) -> tuple[str, ...]:
    """Return the top-level columns of a file that hold the named columns."""
    return tuple(
        top
        for top in footer.top
        if any(name == top or name.startswith(f"{top}.") for name in names)
    )


def _note(footers: dict[str, Footer]) -> str:
    left_out = sorted({name for footer in footers.values() for name in footer.left_out})
    names = ", ".join(left_out[:_MOST_NAMES]) + (", ..." if len(left_out) > _MOST_NAMES else "")
    return f"columns with lists or maps are not read: {names}" if left_out else ""
