"""Where reading begins in a file, and the place behind what was read of it."""

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
"""Records of a file, each with the header in force."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """One open file under the name that its places have."""

    name: str
    path: FilePath
    text: CsvText


class Starts:
    """Finds where reading begins in files.

    Args:
        tables: makes a table of a first record, for its time.
        keyed: a column identifies the records: those that are read again are known.
        knows_copies: a file with the content of another is a copy of it.
    """

    def __init__(self, tables: Tables, *, keyed: bool, knows_copies: bool) -> None:
        self._tables = tables
        self._keyed = keyed
        self._knows_copies = knows_copies

    def find(
        self, file: OpenFile, files: Files, located: Located, places: Mapping[str, Place]
    ) -> tuple[Place, str]:
        """Return where reading begins, byte 0 being before the header, and what to warn of.

        Args:
            file: the file.
            files: all that are read.
            located: where the places of the watermark are now.
            places: how far all files were read by now.

        Raises:
            SourceConfigError: the file replaced another, and its records may be known.
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
        """Return where reading begins in a file that replaced another."""
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
                    f"{file.path} was replaced: it begins at {_told(time)}, before the newest "
                    f"record read ({_told(orphan.time)}), and does not hold that record",
                    todo=KNOW_BY_KEY,
                )
        told = f"{file.path} was truncated or replaced; it is read anew from its beginning"
        warning = f"{told}, and lines not read before may be lost"
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
            _log.info("%s was replaced; it is read on after line %d", file.path, found.lines)
        return found


def place_behind(file: BinaryIO, start: Place, taken: Taken, time: float | None) -> Place:
    """Return the place behind records that were taken from a file.

    Args:
        file: the open file.
        start: where reading began.
        taken: what was read, or at least the last of it.
        time: of the newest record; None where it is not known.
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


def _told(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
