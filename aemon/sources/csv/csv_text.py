"""One CSV file, open for reading: its header, its records, the places between them."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from aemon.errors import SourceConfigError
from aemon.sources.csv.encoding import HEAD_BYTES, find_encoding
from aemon.sources.csv.header import (
    MARK,
    MOST_LINES_BELOW,
    Header,
    Wanted,
    after_mark,
    find_header,
    has_gaps,
    header_like,
    is_below_names,
    is_record,
    is_remark,
    names_pattern,
    next_header,
)
from aemon.sources.csv.lines import Line, join_lines, read_lines, single_blanks
from aemon.sources.csv.places import Place
from aemon.sources.file_systems.opening import FilePath

MOST_COLUMNS = 10_000  # more take minutes to read, and hours to learn from
BLANKS = "blanks"
"""The separator that is any run of blanks and tabs."""


SEPARATORS = {",": "','", ";": "';'", "\t": '"\\t"', "|": "'|'", " ": BLANKS}
"""The usual ones, and how the configuration names them."""


class Dialect(NamedTuple):
    """What the configuration says of how files are written."""

    separator: str
    own_separator: bool = False
    encoding: str | None = None
    header_line: int | None = None


class CsvText:
    """One open file.

    Args:
        path: of the file, for messages.
        file: its bytes, unpacked.
        dialect: how it is written.
        columns: those of the roles; that of the time first.
        complete: nothing is written to it any more: a last line without an end is one, too.

    Attributes:
        file: its bytes.
        header: the first header; None while it is not complete.

    Raises:
        SourceConfigError: it has too many columns.
    """

    def __init__(
        self,
        path: FilePath,
        file: BinaryIO,
        dialect: Dialect,
        columns: tuple[str, ...],
        *,
        complete: bool,
    ) -> None:
        self.file = file
        self._path = path
        self._complete = complete
        self._blanks = dialect.separator == BLANKS
        separator = " " if self._blanks else dialect.separator
        self._wanted = Wanted(columns, separator, dialect.own_separator, dialect.header_line)
        file.seek(0)
        self._encoding = find_encoding(file.read(HEAD_BYTES), dialect.encoding)
        self.header = find_header(self._whole_lines(0, separator), self._wanted)
        if separator == " " and not self._blanks and self.header and has_gaps(self.header):
            self._blanks = True  # names stand below each other: no empty fields
            self.header = find_header(self._whole_lines(0, separator), self._wanted)
        if separator == " " and self.header is not None and self.header.columns[0] == MARK:
            lines = self._whole_lines(self.header.start, separator)
            self.header = after_mark(self.header, next(lines), next(lines, None))
        if self.header is not None and len(self.header.columns) > MOST_COLUMNS:
            raise SourceConfigError(
                f"{path}:{self.header.line}: {len(self.header.columns):,} columns, and at most "
                f"{MOST_COLUMNS:,} can be read",
                todo="write fewer columns, or see whether `separator` is that of the file",
            )

    def records(self, start: Place | None = None) -> Iterator[tuple[Header, Line]]:
        """Yield the records after a place, each with the header in force; None: from the first.

        Blank lines, remarks and repeated headers are none.

        Raises:
            SourceConfigError: the first line is a header that cannot be read; further down, such a
                line is the end.
        """
        if self.header is None:
            return
        force = self.header if start is None else self._in_force(start)
        time = self._wanted.columns[0]
        below = MOST_LINES_BELOW if start is None else 0
        begin, number = (force.end, force.last) if start is None else (start.bytes, start.lines)

        def fits(text: bytes) -> bool:
            return is_record(text, force, time)

        lines = self._lines(begin, number)
        has_names, first = names_pattern(force), True
        for line in join_lines(lines, force.separator, fits, complete=self._complete):
            text = line.text
            if has_names(text):
                try:
                    found = next_header(line, force, self._wanted)
                except SourceConfigError as error:
                    if not first:
                        return  # the records above it come first
                    told = f"{self._path}: {error.message}"
                    raise SourceConfigError(told, todo=error.todo) from None
                if found is not None:
                    force, below, has_names = found, MOST_LINES_BELOW, names_pattern(found)
                    continue
            if text.startswith(b"#") and is_remark(text, force, time):
                continue
            if below and is_below_names(text, force, time):
                below -= 1
                continue
            below, first = 0, False
            yield force, line

    def names_elsewhere(self) -> Header | None:
        """Return the line that holds the roles' columns with another separator; None if none does."""
        for separator in SEPARATORS:
            wanted = self._wanted._replace(separator=separator, own_separator=True, line=None)
            found = find_header(self._whole_lines(0, separator), wanted)
            if found is not None and set(wanted.columns) <= set(found.columns):
                return found
        return None

    def ends(self, count: int) -> list[tuple[Header, Line]]:
        """Return about `count` of the first records and of the last."""
        first = [*islice(self.records(), count)]
        size = self.file.seek(0, 2)
        if not first or size <= 2 * HEAD_BYTES:
            return [*first, *deque(self.records(), maxlen=count)]
        lines = islice(self._lines(size - HEAD_BYTES - size % 4, 0), 1, None)  # a whole one on
        header, time = first[-1][0], self._wanted.columns[0]
        last = deque((line for line in lines if is_record(line.text, header, time)), maxlen=count)
        return [*first, *((header, line) for line in last)]

    def _lines(self, begin: int, number: int) -> Iterator[Line]:
        lines = read_lines(self.file, self._encoding, begin, number, complete=self._complete)
        return map(single_blanks, lines) if self._blanks else lines

    def _whole_lines(self, begin: int, separator: str) -> Iterator[Line]:
        """Return lines that may be headers: a name may hold a line break."""
        lines = self._lines(begin, 0)
        return join_lines(lines, separator, lambda _text: False, complete=True)

    def _in_force(self, start: Place) -> Header:
        """Return the header that is in force at a place: noted there, or looked for above it."""
        if self.header is None or start.header == self.header.start:
            assert self.header is not None  # noqa: S101 -- a place lies behind a header
            return self.header
        force = self.header
        if start.header >= 0:
            line = next(self._whole_lines(start.header, force.separator), None)
            return (header_like(line, force) if line is not None else None) or force
        for header, line in self.records():  # of an older version, which noted none
            if line.start >= start.bytes:
                break
            force = header
        return force
