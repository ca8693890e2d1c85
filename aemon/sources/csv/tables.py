"""Lines of several files as one table, with what their names say."""

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
"""The key's column where the files have none."""

FROM_PATH = "file:entity"
"""The entity's column where the files' names say it."""

_log = logging.getLogger(__name__)


class Tables:
    """Makes tables of lines.

    Args:
        roles: of the columns.
        times: the columns of the event time: one, or a date and its time of day.
        from_path: finds the entity in the name of a file; None: a column has it, or nothing.
    """

    def __init__(
        self, roles: Roles, times: Sequence[str], from_path: re.Pattern[str] | None
    ) -> None:
        self.roles = roles  # the order of day and month follows, once it is known
        self._times = times
        self._from_path = from_path
        own = None if roles.key == FILE_LINE else roles.key
        entity = None if from_path else roles.entity
        self.wanted = tuple(name for name in (*times, own, entity) if name)

    def check(self, path: FilePath, header: Header, text: CsvText) -> None:
        """Raise SourceConfigError where a file's header lacks a role's column, or has a name twice."""
        columns = header.columns
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise SourceConfigError(
                f"{path}: more than one column {', '.join(map(repr, twice))}",
                todo="give every column its own name; if they are in another line than "
                f"{header.line}, name it: header_line: NUMBER",
            )
        for wanted in self.wanted:
            if wanted not in columns:
                raise SourceConfigError(
                    f"{path}: no column {wanted!r}", todo=_way_to(wanted, header, text)
                )

    def make(
        self, path: FilePath, place: Place, name: str, taken: Sequence[tuple[Header, Line]]
    ) -> tuple[list[pd.DataFrame], list[str]]:
        """Return a table for each header in force, and what is wrong with lines.

        Args:
            path: of the file, for messages.
            place: where reading began: the name, generation and shift of its records.
            name: the file's.
            taken: the lines with their headers.
        """
        tables, warnings = [], []
        whose = place.name or name
        key = f"{whose}#{place.generation}" if place.generation else whose
        for header, group in groupby(taken, key=lambda pair: pair[0]):
            lines = [line for _, line in group]
            table, malformed = parse(lines, header, self.wanted)
            if malformed is not None:
                warnings.append(f"{path}:{malformed.summary(header.separator)}")
                _log.warning("%s", warnings[-1])
            if self.roles.key == FILE_LINE:
                keys = [f"{key}:{line.number + place.shift}" for line in lines]
                table[FILE_LINE] = pd.Series(keys, dtype="str")
            if self._from_path is not None:
                table[FROM_PATH] = self.entity(path, whose)
            tables.append(self._with_time(table))
        return tables, warnings

    def time(self, table: pd.DataFrame) -> float | None:
        """Return the time of the last record that has one, in seconds since 1970."""
        time = last_time(self.roles.times_of(table[self.roles.time]))
        return None if time is None else time.timestamp()

    def entity(self, path: FilePath, name: str) -> str:
        """Return the entity that a file's name says.

        Raises:
            SourceConfigError: it says none.
        """
        found = self._from_path.search(name) if self._from_path is not None else None
        if found is None:
            raise SourceConfigError(
                f"{path}: its name {name!r} does not fit entity.from_path",
                todo="correct the pattern, or read the file elsewhere: a pattern as path names "
                "those to be read",
            )
        return found[1] if found.re.groups else found[0]

    def empty(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return a table without records."""
        own = [FILE_LINE] if self.roles.key == FILE_LINE else []
        entity = [FROM_PATH] if self._from_path is not None else []
        return self._with_time(pd.DataFrame(columns=[*(columns or self.wanted), *own, *entity]))

    def _with_time(self, table: pd.DataFrame) -> pd.DataFrame:
        return join_times(table, self._times, self.roles.time) if len(self._times) > 1 else table


def _way_to(wanted: str, header: Header, text: CsvText) -> str:
    """Return how to come to a column that a header lacks."""
    found = text.names_elsewhere()
    if found is not None and found.separator != header.separator:
        return (
            f"line {found.line} names it, with {found.separator!r} between the columns: "
            f"separator: {SEPARATORS[found.separator]}"
        )
    if found is not None:
        return f"line {found.line} names it: header_line: {found.line}"
    return (
        f"{there(header.columns, wanted)}; {_separator_told(header)}; the names are taken from "
        f"line {header.line} (another: header_line: NUMBER)"
    )


def _separator_told(header: Header) -> str:
    """Return which separator was taken, and another one where a single column shows it."""
    told = f"the separator is {header.separator!r}"
    other = next((mark for mark in ";\t|, " if mark in header.columns[0]), None)
    if len(header.columns) > 1 or other is None:
        return told
    return f"{told}, and the line holds another: separator: {SEPARATORS[other]}"


def foreign_note(path: FilePath, taken: Sequence[tuple[Header, Line]], named: str | None) -> str:
    """Return what is said of lines that are not of the file's encoding; empty if none is."""
    foreign = [line for _, line in taken if line.foreign]
    if not foreign:
        return ""
    at = f"{path}:{foreign[0].number}"
    if named:
        return f"{at} is not {named}: characters are lost in {len(foreign)} lines"
    return f"{at} is not UTF-8 and is read as {FALLBACK}; another is named by encoding: NAME"
