"""Lines of several files as one table, with keys and entities from the files' names."""

import logging
import re
from collections.abc import Sequence
from itertools import groupby

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.sources.csv.csv_text import SEPARATORS, CsvText
from aemon.sources.csv.encoding import FALLBACK
from aemon.sources.csv.header import Header
from aemon.sources.csv.lines import Line
from aemon.sources.csv.places import Place
from aemon.sources.csv.rows import parse
from aemon.sources.file_systems.opening import FilePath
from aemon.sources.plausible_times import last_time
from aemon.sources.source import there
from aemon.times.time_apart import join_times

FILE_LINE = "file:line"
"""Name of the key column if no column of the files identifies a record."""

FROM_PATH = "file:entity"
"""Name of the entity column if the names of files give the entity."""

_log = logging.getLogger(__name__)


class Tables:
    """The conversion of lines to tables.

    Args:
        roles: the columns of time, key and entity.
        times: the columns of the event time: one column, or a column of dates and a column of times
            of day.
        from_path: pattern that finds the entity in a file's name; None: a column holds the entity,
            or records have no entity.

    Attributes:
        required: the columns that every header must hold.
    """

    def __init__(
        self, roles: Roles, times: Sequence[str], from_path: re.Pattern[str] | None
    ) -> None:
        self.roles = roles  # the order of day and month is added once it is known
        self._times = times
        self._from_path = from_path
        own = None if roles.key == FILE_LINE else roles.key
        entity = None if from_path else roles.entity
        self.required = tuple(name for name in (*times, own, entity) if name)

    def check(self, path: FilePath, header: Header, text: CsvText) -> None:
        """Check the header of a file.

        Raises:
            SourceConfigError: the header lacks the column of time, key or entity, or has a name
                twice.
        """
        columns = header.columns
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise SourceConfigError(
                f"{path}: more than one column {', '.join(map(repr, twice))}",
                todo="give every column its own name; if the names are in another line than "
                f"{header.line}, set header_line: NUMBER",
            )
        for name in self.required:
            if name not in columns:
                raise SourceConfigError(
                    f"{path}: no column {name!r}", todo=_way_out(name, header, text)
                )

    def make(
        self, path: FilePath, place: Place, name: str, taken: Sequence[tuple[Header, Line]]
    ) -> tuple[list[pd.DataFrame], list[str]]:
        """Return a table for the lines of each header, and warnings about malformed lines.

        Args:
            path: path of the file, for messages.
            place: the place where reading began; keys are made with its name, generation and shift.
            name: name of the file.
            taken: the lines, each with its header.
        """
        tables, warnings = [], []
        first_name = place.name or name
        key = f"{first_name}#{place.generation}" if place.generation else first_name
        for header, group in groupby(taken, key=lambda pair: pair[0]):
            lines = [line for _, line in group]
            table, malformed = parse(lines, header, self.required)
            if malformed is not None:
                warnings.append(f"{path}:{malformed.summary(header.separator)}")
                _log.warning("%s", warnings[-1])
            if self.roles.key == FILE_LINE:
                keys = [f"{key}:{line.number + place.shift}" for line in lines]
                table[FILE_LINE] = pd.Series(keys, dtype="str")
            if self._from_path is not None:
                table[FROM_PATH] = self.entity(path, first_name)
            tables.append(self._with_time(table))
        return tables, warnings

    def time(self, table: pd.DataFrame) -> float | None:
        """Return the last readable event time in seconds since 1970; None: no time is readable."""
        time = last_time(self.roles.times_of(table[self.roles.time]))
        return None if time is None else time.timestamp()

    def entity(self, path: FilePath, name: str) -> str:
        """Return the entity from the name of a file.

        Raises:
            SourceConfigError: the pattern does not fit the name.
        """
        found = self._from_path.search(name) if self._from_path is not None else None
        if found is None:
            raise SourceConfigError(
                f"{path}: its name {name!r} does not fit entity.from_path",
                todo="correct the pattern, or exclude the file: set path to a pattern that fits "
                "only the files to read",
            )
        return found[1] if found.re.groups else found[0]

    def empty(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return a table without records, with `columns` or else the required columns."""
        own = [FILE_LINE] if self.roles.key == FILE_LINE else []
        entity = [FROM_PATH] if self._from_path is not None else []
        return self._with_time(pd.DataFrame(columns=[*(columns or self.required), *own, *entity]))

    def _with_time(self, table: pd.DataFrame) -> pd.DataFrame:
        return join_times(table, self._times, self.roles.time) if len(self._times) > 1 else table


def _way_out(missing: str, header: Header, text: CsvText) -> str:
    """Return advice on a column that a header lacks."""
    found = text.names_elsewhere()
    if found is not None and found.separator != header.separator:
        return (
            f"line {found.line} names this column, with {found.separator!r} between the columns: "
            f"set separator: {SEPARATORS[found.separator]}"
        )
    if found is not None:
        return f"line {found.line} names this column: set header_line: {found.line}"
    return (
        f"{there(header.columns, missing)}; {_separator_note(header)}; the names are taken from "
        f"line {header.line} (for another line, set header_line: NUMBER)"
    )


def _separator_note(header: Header) -> str:
    """Return a note that names the separator, and a likely better separator if there is one."""
    note = f"the separator is {header.separator!r}"
    other = next((mark for mark in ";\t|, " if mark in header.columns[0]), None)
    if len(header.columns) > 1 or other is None:
        return note
    return f"{note}, and the line holds another separator: set separator: {SEPARATORS[other]}"


def foreign_note(path: FilePath, taken: Sequence[tuple[Header, Line]], named: str | None) -> str:
    """Return a note about lines that do not fit the encoding; empty if all lines fit."""
    foreign = [line for _, line in taken if line.foreign]
    if not foreign:
        return ""
    at = f"{path}:{foreign[0].number}"
    if named:
        return f"{at} is not {named}: characters are lost in {len(foreign)} lines"
    return f"{at} is not UTF-8 and is read as {FALLBACK}; set another encoding with encoding: NAME"
