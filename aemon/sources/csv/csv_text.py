"""An open CSV file: its header, its records, and the place after each record."""

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
    HeaderSearch,
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

MOST_COLUMNS = 10_000  # more columns take minutes to read and hours of training
BLANKS = "blanks"
"""The value of the setting `separator` if any run of blanks and tabs separates two fields."""


SEPARATORS = {",": "','", ";": "';'", "\t": '"\\t"', "|": "'|'", " ": BLANKS}
"""The usual separators, each with its notation in the configuration."""


class Dialect(NamedTuple):
    """The configured format of the files; a field that is None is found from each file."""

    separator: str
    own_separator: bool = False
    encoding: str | None = None
    header_line: int | None = None


class CsvText:
    """An open CSV file.

    Args:
        path: path of the file, for messages.
        file: the bytes of the file, unpacked.
        dialect: the configured format.
        columns: the columns of time, key and entity; the time is first.
        complete: whether the file no longer grows; a last line without a line end is then complete.

    Attributes:
        file: the bytes of the file.
        header: the first header; None while the header line is not complete.

    Raises:
        SourceConfigError: the file has too many columns.
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
        self._search = HeaderSearch(columns, separator, dialect.own_separator, dialect.header_line)
        file.seek(0)
        self._encoding = find_encoding(file.read(HEAD_BYTES), dialect.encoding)
        self.header = find_header(self._whole_lines(0, separator), self._search)
        if separator == " " and not self._blanks and self.header and has_gaps(self.header):
            self._blanks = True  # aligned names: a gap between two names is not an empty field
            self.header = find_header(self._whole_lines(0, separator), self._search)
        if separator == " " and self.header is not None and self.header.columns[0] == MARK:
            lines = self._whole_lines(self.header.start, separator)
            self.header = after_mark(self.header, next(lines), next(lines, None))
        if self.header is not None and len(self.header.columns) > MOST_COLUMNS:
            raise SourceConfigError(
                f"{path}:{self.header.line}: {len(self.header.columns):,} columns, and at most "
                f"{MOST_COLUMNS:,} can be read",
                todo="write fewer columns, or check that the file has the configured `separator`",
            )

    def records(self, start: Place | None = None) -> Iterator[tuple[Header, Line]]:
        """Yield the records after a place (None: from the start), each with its header.

        Blank lines, remarks, repeated headers and lines of units are skipped.

        Raises:
            SourceConfigError: an unreadable header comes before the first record of this read.
                After a record, an unreadable header ends the reading without an error.
        """
        if self.header is None:
            return
        force = self.header if start is None else self._header_at(start)
        time = self._search.columns[0]
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
                    found = next_header(line, force, self._search)
                except SourceConfigError as error:
                    if not first:
                        return  # the records above this line are returned first
                    message = f"{self._path}: {error.message}"
                    raise SourceConfigError(message, todo=error.todo) from None
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
        """Try each usual separator; return the first header with all required columns, or None."""
        for separator in SEPARATORS:
            search = self._search._replace(separator=separator, own_separator=True, line=None)
            found = find_header(self._whole_lines(0, separator), search)
            if found is not None and set(search.columns) <= set(found.columns):
                return found
        return None

    def ends(self, count: int) -> list[tuple[Header, Line]]:
        """Return the first `count` and roughly the last `count` records, each with its header."""
        first = [*islice(self.records(), count)]
        size = self.file.seek(0, 2)
        if not first or size <= 2 * HEAD_BYTES:
            return [*first, *deque(self.records(), maxlen=count)]
        lines = self._lines(size - HEAD_BYTES - size % 4, 0)
        next(lines, None)  # reading may begin within a line: the rest of this line is left out
        header, time = first[-1][0], self._search.columns[0]
        last = deque((line for line in lines if is_record(line.text, header, time)), maxlen=count)
        return [*first, *((header, line) for line in last)]

    def _lines(self, begin: int, number: int) -> Iterator[Line]:
        lines = read_lines(self.file, self._encoding, begin, number, complete=self._complete)
        return map(single_blanks, lines) if self._blanks else lines

    def _whole_lines(self, begin: int, separator: str) -> Iterator[Line]:
        """Return the lines that may be headers, joined where a name holds a line break."""
        lines = self._lines(begin, 0)
        return join_lines(lines, separator, lambda _text: False, complete=True)

    def _header_at(self, start: Place) -> Header:
        """Return the header of the records after a place.

        The place keeps the position of this header. For a place without the position, the last
        header above the place is returned.
        """
        if self.header is None or start.header == self.header.start:
            assert self.header is not None  # noqa: S101 -- a place comes after a header
            return self.header
        force = self.header
        if start.header >= 0:
            line = next(self._whole_lines(start.header, force.separator), None)
            return (header_like(line, force) if line is not None else None) or force
        for header, line in self.records():  # a place of an older version keeps no header
            if line.start >= start.bytes:
                break
            force = header
        return force
