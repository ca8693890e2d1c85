"""The line of column names: where it is, and whether another one follows among the records."""

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from aemon.errors import SourceConfigError
from aemon.sources.csv.lines import Line, split

MOST_LINES_ABOVE = 100
"""So many lines may stand above the column names."""

MOST_LINES_BELOW = 5
"""So many lines of units and the like may stand between the names and the first record."""

KNOWN_SHARE = 0.5
"""A line with so many of the names in force is another header, whatever else is in it."""

MARK = "#"
"""What may stand before names, and may be a name: the lines below tell."""

NO_NAME = "column_{}"
"""What the column at a place is called that has no name."""

_SEPARATOR_LINE = re.compile(rb'^"?sep=([!#-~]|\t)"?$', re.IGNORECASE)
_DIGIT = re.compile(r"\d")


class Header(NamedTuple):
    """The column names in force, and how the lines below them are split.

    `named` is how many columns there are up to the last that has a name; `start` and `end` are
    bytes of the file; `line` is the number of its line, `last` where that ends.
    """

    columns: tuple[str, ...]
    named: int
    separator: str
    start: int
    end: int
    line: int
    last: int


class Wanted(NamedTuple):
    """What a header is found by: the roles' columns, that of the time first; or its line."""

    columns: tuple[str, ...]
    separator: str
    own_separator: bool  # the configuration names it: a file's own word does not count
    line: int | None = None


def find_header(lines: Iterable[Line], wanted: Wanted) -> Header | None:
    """Return the first line that holds the roles' columns, or else the first of all.

    Lines above it are no part of the table. A header may stand behind a `#`. None where no line
    is complete.
    """
    separator = wanted.separator
    first: Header | None = None
    commented: Header | None = None
    for line in islice(lines, None if wanted.line else MOST_LINES_ABOVE):
        said = _SEPARATOR_LINE.match(line.text.strip(b" "))
        if said is not None:
            separator = separator if wanted.own_separator else said[1].decode()
            continue
        if wanted.line is not None:
            if line.number < wanted.line:
                continue
            return header_of(line, separator)
        header = header_of(line, separator)
        if header is None:
            continue
        if set(wanted.columns) <= set(header.columns):
            return header
        first = first or header
        if line.text.startswith(b"#"):
            bare = header_of(_bare(line), separator)
            if bare is not None and set(wanted.columns) <= set(bare.columns):
                commented = commented or bare
    return commented or first


def after_mark(header: Header, line: Line, following: Line | None) -> Header:
    """Return a header of blanks without the `#` before it, where the records have one field less.

    Args:
        header: the header.
        line: the line that it was made of.
        following: the line behind it; None where there is none yet.
    """
    bare = header_of(_bare(line), header.separator)
    fields = split(following.text, header.separator) if following is not None else None
    if bare is None or fields is None or len(fields) != len(bare.columns):
        return header
    return header._replace(columns=bare.columns, named=bare.named)


def header_like(line: Line, header: Header) -> Header | None:
    """Return a line read as column names, spelt and marked as an earlier header is."""
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
    """Return a line read as column names; those without a name get one. None: not to be split."""
    fields = split(line.text, separator)
    if fields is None:
        return None
    names = [name.strip() for name in fields]
    named = max((place for place, name in enumerate(names, 1) if name), default=0)
    columns = tuple(name or NO_NAME.format(place) for place, name in enumerate(names, 1))
    return Header(columns, named, separator, line.start, line.end, line.number, line.last)


def has_gaps(header: Header) -> bool:
    """Return whether a column without a name stands before one with a name."""
    names = enumerate(header.columns[: header.named], 1)
    return any(name == NO_NAME.format(place) for place, name in names)


def names_pattern(header: Header) -> Callable[[bytes], object]:
    """Return a quick test whether a line may be another header: one of the names is a field."""
    names = sorted({re.escape(name.encode()) for name in header.columns[: header.named]})
    fence = re.escape(header.separator.encode())
    return re.compile(
        rb'(?!"?[\d.+-])(?:^|.*?%b)\W*(?:%b)\W*(?:%b|$)' % (fence, b"|".join(names), fence),
        re.IGNORECASE | re.DOTALL,
    ).match


def next_header(line: Line, header: Header, wanted: Wanted) -> Header | None:
    """Return the header that a line among the records is; None where it is none.

    Raises:
        SourceConfigError: it is one without the roles' columns; what is below it cannot be read.
    """
    found = header_like(line, header)
    if found is None:
        return None
    columns = found.columns
    known = len(set(columns) & set(header.columns))
    is_known = known >= KNOWN_SHARE * header.named
    if set(wanted.columns) <= set(columns) and len(set(columns)) == len(columns):
        place = header.columns.index(wanted.columns[0])
        cell = columns[place] if place < len(columns) else ""
        return found if is_known or not _DIGIT.search(cell) else None
    if is_known and known > 1:
        lacking = [name for name in wanted.columns if name not in columns]
        told = f"without {', '.join(map(repr, lacking))}" if lacking else "with a name twice"
        raise SourceConfigError(
            f"line {line.number} is another header, {told}: {', '.join(columns)}",
            todo="write the records below it into a file of their own, or correct the header",
        )
    return None


def is_record(text: bytes, header: Header, time: str) -> bool:
    """Return whether a line has a record's fields, and a digit where its time is."""
    fields = split(text, header.separator)
    if fields is None or not header.named <= len(fields) <= len(header.columns):
        return False
    return bool(_DIGIT.search(fields[header.columns.index(time)]))


def is_remark(text: bytes, header: Header, time: str) -> bool:
    """Return whether a line that begins with `#` is a remark rather than a record."""
    return header.columns[0] in (time, NO_NAME.format(1)) or not is_record(text, header, time)


def is_below_names(text: bytes, header: Header, time: str) -> bool:
    """Return whether a line is one of units and the like: no time, and no number anywhere."""
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
