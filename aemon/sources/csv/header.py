"""The header (the line of column names): how the first and all further headers are found."""

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from aemon.errors import SourceConfigError
from aemon.sources.csv.lines import Line, split

MOST_LINES_ABOVE = 100
"""Number of lines that may stand above the header."""

MOST_LINES_BELOW = 5
"""Number of lines, for example of units, that may stand between header and first record."""

KNOWN_SHARE = 0.5
"""A line with this share of the current column names is a header, even if it adds new names."""

MARK = "#"
"""A `#` at the beginning of a header is a mark before the first name, or the first name itself.

The number of fields in the line below decides.
"""

NO_NAME = "column_{}"
"""The name that a column without a name gets; columns are counted from 1."""

_SEPARATOR_LINE = re.compile(rb'^"?sep=([!#-~]|\t)"?$', re.IGNORECASE)
_DIGIT = re.compile(r"\d")


class Header(NamedTuple):
    """The column names, and the separator of the header and of the lines below.

    `named` is the number of columns up to the last column with a name; `start` and `end` are byte
    positions in the file; `line` and `last` are the numbers of the header's first and last line.
    """

    columns: tuple[str, ...]
    named: int
    separator: str
    start: int
    end: int
    line: int
    last: int


class HeaderSearch(NamedTuple):
    """How to find a header: by its columns of time, key and entity, or by its line number.

    In `columns`, the column of the time is first.
    """

    columns: tuple[str, ...]
    separator: str
    own_separator: bool  # the configuration names the separator: a line `sep=;` is ignored
    line: int | None = None


def find_header(lines: Iterable[Line], search: HeaderSearch) -> Header | None:
    """Return the first line with all required columns as a header, or else the first line.

    Lines above the header are not part of the table. A `#` may stand before the names.

    Returns:
        The header; None if no complete line can be split.
    """
    separator = search.separator
    first: Header | None = None
    commented: Header | None = None
    for line in islice(lines, None if search.line else MOST_LINES_ABOVE):
        named = _SEPARATOR_LINE.match(line.text.strip(b" "))
        if named is not None:
            separator = separator if search.own_separator else named[1].decode()
            continue
        if search.line is not None:
            if line.number < search.line:
                continue
            return header_of(line, separator)
        header = header_of(line, separator)
        if header is None:
            continue
        if set(search.columns) <= set(header.columns):
            return header
        first = first or header
        if line.text.startswith(b"#"):
            bare = header_of(_bare(line), separator)
            if bare is not None and set(search.columns) <= set(bare.columns):
                commented = commented or bare
    return commented or first


def after_mark(header: Header, line: Line, following: Line | None) -> Header:
    """Return a header without its first field `#` if the records have one field less.

    The fields are separated by blanks.

    Args:
        header: the header.
        line: the line of the header.
        following: the next line; None if the next line does not exist yet.
    """
    bare = header_of(_bare(line), header.separator)
    fields = split(following.text, header.separator) if following is not None else None
    if bare is None or fields is None or len(fields) != len(bare.columns):
        return header
    return header._replace(columns=bare.columns, named=bare.named)


def header_like(line: Line, header: Header) -> Header | None:
    """Return a line as a header; None if the line cannot be split.

    A name that differs from a name of `header` only in upper or lower case is spelt as in `header`.
    """
    is_marked = line.text.startswith(b"#") and not header.columns[0].startswith(MARK)
    found = header_of(_bare(line) if is_marked else line, header.separator)
    if found is None:
        return None
    spelt = {name.casefold(): name for name in header.columns}
    return found._replace(columns=tuple(spelt.get(x.casefold(), x) for x in found.columns))


def _bare(line: Line) -> Line:
    """Return a line without the `#` at its beginning."""
    return line._replace(text=line.text.lstrip(b"# \t"))


def header_of(line: Line, separator: str) -> Header | None:
    """Return a line as a header; None if the line cannot be split.

    A column with an empty name gets a name of the form `NO_NAME`.
    """
    fields = split(line.text, separator)
    if fields is None:
        return None
    names = [name.strip() for name in fields]
    named = max((place for place, name in enumerate(names, 1) if name), default=0)
    columns = tuple(name or NO_NAME.format(place) for place, name in enumerate(names, 1))
    return Header(columns, named, separator, line.start, line.end, line.number, line.last)


def has_gaps(header: Header) -> bool:
    """Return whether a column without a name stands before a column with a name."""
    names = enumerate(header.columns[: header.named], 1)
    return any(name == NO_NAME.format(place) for place, name in names)


def names_pattern(header: Header) -> Callable[[bytes], object]:
    """Return a quick test for lines that may be a header: a field holds a known column name."""
    names = sorted({re.escape(name.encode()) for name in header.columns[: header.named]})
    fence = re.escape(header.separator.encode())
    return re.compile(
        rb'(?!"?[\d.+-])(?:^|.*?%b)\W*(?:%b)\W*(?:%b|$)' % (fence, b"|".join(names), fence),
        re.IGNORECASE | re.DOTALL,
    ).match


def next_header(line: Line, header: Header, search: HeaderSearch) -> Header | None:
    """Return a line among the records as a new header; None for a line that is not a header.

    Raises:
        SourceConfigError: a new header lacks the column of time, key or entity, or has a name
            twice; the records below cannot be read.
    """
    found = header_like(line, header)
    if found is None:
        return None
    columns = found.columns
    known = len(set(columns) & set(header.columns))
    is_known = known >= KNOWN_SHARE * header.named
    if set(search.columns) <= set(columns) and len(set(columns)) == len(columns):
        place = header.columns.index(search.columns[0])
        cell = columns[place] if place < len(columns) else ""
        return found if is_known or not _DIGIT.search(cell) else None
    if is_known and known > 1:
        missing = [name for name in search.columns if name not in columns]
        reason = f"without {', '.join(map(repr, missing))}" if missing else "with a name twice"
        raise SourceConfigError(
            f"line {line.number} is a new header, {reason}: {', '.join(columns)}",
            todo="write the records below this line into another file, or correct the header",
        )
    return None


def is_record(text: bytes, header: Header, time: str) -> bool:
    """Return whether a line has the fields of a record, and a digit in the field of the time."""
    fields = split(text, header.separator)
    if fields is None or not header.named <= len(fields) <= len(header.columns):
        return False
    return bool(_DIGIT.search(fields[header.columns.index(time)]))


def is_remark(text: bytes, header: Header, time: str) -> bool:
    """Return whether a line that begins with `#` is a remark and not a record."""
    return header.columns[0] in (time, NO_NAME.format(1)) or not is_record(text, header, time)


def is_below_names(text: bytes, header: Header, time: str) -> bool:
    """Return whether a line holds units or similar text: no time, and no number in any field."""
    fields = split(text, header.separator)
    if fields is None:
        return False
    place = header.columns.index(time)
    if place >= len(fields) or _DIGIT.search(fields[place]):
        return False
    return any(fields) and not any(_is_number(field) for field in fields)


def _is_number(field: str) -> bool:
    try:
        float(field.replace(",", "."))
    except ValueError:
        return False
    return True
