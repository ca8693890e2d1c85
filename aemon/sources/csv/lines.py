"""A growing text file as numbered lines; a line break within quotes ends none."""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from aemon.sources.csv.encoding import MOST_LINE_BYTES, Encoding, as_utf8, raw_lines

MOST_LINES_OF_A_RECORD = 100
"""A quote that is not closed within so many lines is a mistake, not a long text."""

_BLANKS = re.compile(rb'("[^"]*")|[ \t]+')


class Line(NamedTuple):
    """A record's text in UTF-8, without its end.

    `number` is that of its first line in the file, `last` that of its last; `start` and `end` are
    bytes of the file; `foreign` says that it is not of the file's encoding.
    """

    number: int
    text: bytes
    start: int
    end: int
    last: int
    foreign: bool = False


def read_lines(
    file: BinaryIO, encoding: Encoding, start: int, number: int, *, complete: bool
) -> Iterator[Line]:
    """Yield the lines from a byte on, blank ones too; without `complete` a last one that is
    still being written is left.
    """  # noqa: D205
    file.seek(start)
    end, ending, foreign = start, encoding.ending, False
    plain = encoding.name == "utf-8" and ending == b"\n"
    for raw, length in raw_lines(file, encoding):
        if not complete and not raw.endswith(ending):
            return
        number += 1
        begin = end
        end += length
        if plain and raw.isascii():  # nearly always: the short way
            yield Line(number, raw.rstrip(b"\r\n"), begin, end, number)
        else:
            text, foreign = as_utf8(raw, encoding)
            yield Line(number, text, begin, end, number, foreign)


def join_lines(
    lines: Iterator[Line],
    separator: str,
    is_record: Callable[[bytes], bool],
    *,
    complete: bool,
) -> Iterator[Line]:
    """Yield one line a record: joined where a quote is open at a line's end, blank ones left out.

    A quote that nothing closes before the next line that is a record by itself is a mistake: its
    line stays alone. One that may still be closed by what is yet to be written is left.
    """
    for whole in lines:
        if b'"' not in whole.text:
            if whole.text and not whole.text.isspace():
                yield whole
            continue
        ahead = deque([whole])
        while ahead:
            line = ahead.popleft()
            if _is_open(line.text, separator):
                joined = _close(line, ahead, lines, (separator, is_record))
                if joined is None and not complete:
                    return
                line = joined or line
            if line.text and not line.text.isspace():
                yield line


def _close(
    first: Line,
    ahead: deque[Line],
    lines: Iterator[Line],
    reading: tuple[str, Callable[[bytes], bool]],
) -> Line | None:
    """Join a line with those that close its quote; the same line where it is a mistake.

    None where the lines end before that is known. Lines that were looked at stay `ahead`.
    """
    separator, is_record = reading
    text, taken = first.text, 0
    while taken < MOST_LINES_OF_A_RECORD:
        if taken == len(ahead):
            following = next(lines, None)
            if following is None:
                return None
            ahead.append(following)
        line = ahead[taken]
        taken += 1
        odd = line.text.count(b'"') % 2
        if not odd and is_record(line.text):
            return first
        text += b"\n" + line.text
        if not odd:
            continue
        if split(text, separator) is not None:
            for _ in range(taken):
                ahead.popleft()
            foreign = first.foreign or line.foreign
            return Line(first.number, text, first.start, line.end, line.last, foreign)
        if not _is_open(text, separator):
            return first
    return first


def split(text: bytes, separator: str) -> list[str] | None:
    """Return the fields of a line; None where a quote is not closed, or closed too early.

    >>> split(b'1,"a, b"', ",")
    ['1', 'a, b']
    """
    if b'"' not in text:
        return text.decode(errors="replace").split(separator)
    try:
        return next(_reader(text, separator))
    except csv.Error:
        return None


def _reader(text: bytes, separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(MOST_LINE_BYTES)  # of this process: 131,072 by default
    return csv.reader([text.decode(errors="replace")], delimiter=separator, strict=True)


def _is_open(text: bytes, separator: str) -> bool:
    """Return whether a quote is still open at the end of a text."""
    if text.count(b'"') % 2 == 0:
        return False
    try:
        next(_reader(text, separator))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def single_blanks(line: Line) -> Line:
    r"""Return a line in which every run of blanks and tabs outside of quotes is one blank.

    >>> single_blanks(Line(1, b'1  2\t"a  b" ', 0, 11, 1)).text
    b'1 2 "a  b"'
    """
    text = _BLANKS.sub(lambda found: found[1] or b" ", line.text.strip(b" \t"))
    return line._replace(text=text)
