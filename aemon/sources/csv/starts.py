"""Finds the place where reading begins in a file, and the place where reading ended."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from aemon.errors import SourceConfigError
from aemon.sources.csv.csv_text import CsvText
from aemon.sources.csv.files import Files
from aemon.sources.csv.header import Header
from aemon.sources.csv.lines import Line
from aemon.sources.csv.moved_files import KNOW_BY_KEY, Located, copied_place, resume
from aemon.sources.csv.places import LAST_KEPT, Place, checked, fingerprint
from aemon.sources.csv.tables import Tables
from aemon.sources.file_systems.opening import FilePath

Taken = Sequence[tuple[Header, Line]]
"""Records that were read from a file, each with its header."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """An open file, and the name under which a watermark stores the place in this file."""

    name: str
    path: FilePath
    text: CsvText


class Starts:
    """The rules for the place where reading begins in a file.

    Args:
        tables: converts the first record of a file to a table, to find its time.
        keyed: whether a column identifies the records; a record that is read again is then
            recognised.
        knows_copies: whether a file with the content of another file counts as a copy; of a copy,
            only the records that the other file does not have are read.
    """

    def __init__(self, tables: Tables, *, keyed: bool, knows_copies: bool) -> None:
        self._tables = tables
        self._keyed = keyed
        self._knows_copies = knows_copies

    def find(
        self, file: OpenFile, files: Files, located: Located, places: Mapping[str, Place]
    ) -> tuple[Place, str]:
        """Return the place where reading begins (byte 0: before the header), and a warning.

        Args:
            file: the file.
            files: all files that are read.
            located: the watermark's places, assigned to the current files.
            places: the places up to which all files have been read.

        Raises:
            SourceConfigError: the file replaced another file, and some of its records may already
                be judged.
        """
        if file.name in located.now:
            return located.now[file.name], ""
        generation = located.next_generation(file.name)
        begin = Place(0, 0, generation=generation)
        orphan = located.orphans.get(file.name)
        if orphan is not None:
            return self._after(orphan, file, begin)
        copied = None
        if not generation and self._knows_copies:
            copied = copied_place(file.text.file, files, places)
        return copied or begin, ""

    def _after(self, orphan: Place, file: OpenFile, begin: Place) -> tuple[Place, str]:
        """Return the place where reading begins in a file that replaced another, and a warning."""
        found = self._resume(file, orphan)
        if found is not None:
            return found, ""
        first = next(file.text.records(), None)
        if first is None:
            return begin, ""
        if not self._keyed and orphan.time is not None:
            (table, *_), _ = self._tables.make(file.path, begin, file.name, [first])
            time = self._tables.time(table)
            if time is not None and time < orphan.time:
                raise SourceConfigError(
                    f"{file.path} was replaced: it begins at {_as_text(time)}, before the newest "
                    f"record read ({_as_text(orphan.time)}), and does not hold that record",
                    todo=KNOW_BY_KEY,
                )
        warning = (
            f"{file.path} was truncated or replaced; it is read again from its beginning, and "
            "lines that aemon had not read may be lost"
        )
        _log.warning("%s", warning)
        return begin, warning

    def _resume(self, file: OpenFile, orphan: Place) -> Place | None:
        if not orphan.last:
            return None
        try:
            found = resume(file.path, file.text.records(), orphan)
        except SourceConfigError:
            if not self._keyed:
                raise
            return None
        if found is not None:
            _log.info("%s was replaced; reading continues after line %d", file.path, found.lines)
        return found


def place_behind(file: BinaryIO, start: Place, taken: Taken, time: float | None) -> Place:
    """Return the place in a file after the records that were read.

    Args:
        file: the open file.
        start: the place where reading began.
        taken: the records that were read, or at least the last record.
        time: event time of the newest record in seconds since 1970; None if the time is not known.
    """
    header, line = taken[-1]
    marks = [(one.number + start.shift, fingerprint(one.text)) for _, one in taken[-LAST_KEPT:]]
    place = start._replace(
        bytes=line.end,
        lines=line.last,
        header=header.start,
        last=(*start.last, *marks)[-LAST_KEPT:],
        time=start.time if time is None else time,
    )
    return checked(file, place)


def _as_text(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
