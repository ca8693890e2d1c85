"""A growing text file as numbered lines; a line break within quotes does not end a line."""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from aemon.sources.csv.encoding import MOST_LINE_BYTES, Encoding, as_utf8, raw_lines

MOST_LINES_OF_A_RECORD = 100
"""A quote that is not closed within this many lines is a mistake and not a long text."""

_BLANKS = re.compile(rb'("[^"]*")|[ \t]+')


class Line(NamedTuple):
    """The text of a record in UTF-8, without the line end.

    `number` and `last` are the numbers of its first and last line in the file; `start` and `end`
    are byte positions in the file; `foreign`: the text does not fit the encoding of the file.
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
    """Yield the lines after the byte `start`, including blank lines.

    `number` is the number of lines before this byte. If `complete` is False, a last line without a
    line end is still being written and is left out.
    """
    file.seek(start)
    end, ending, foreign = start, encoding.ending, False
    plain = encoding.name == "utf-8" and ending == b"\n"
    for raw, length in raw_lines(file, encoding):
        if not complete and not raw.endswith(ending):
            return
        number += 1
        begin = end
        end += length
        if plain and raw.isascii():  # nearly always: the fast path
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
    """Yield one line for each record: join lines within quotes, and leave out blank lines.

    An open quote is a mistake if a line before its end is a record by itself. The line of a
    mistaken quote is not joined. A quote may still be open at the end of the file. If `complete`
    is False, reading then ends before the line of this quote: a later line may close it.
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
    """Join a line with the lines up to the end of its quote; return a mistaken line unchanged.

    Return None if the file ends before the quote is closed or found to be a mistake. Lines that
    are not joined stay in `ahead`.
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
        closes = line.text.count(b'"') % 2 == 1
        if not closes and is_record(line.text):
            return first
        text += b"\n" + line.text
        if not closes:
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
    """Return the fields of a line; None if a quote is not closed, or is closed too early.

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
    csv.field_size_limit(MOST_LINE_BYTES)  # a limit of the whole process; default 131,072
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
    r"""Return a line with one blank for each run of blanks and tabs outside of quotes.

    >>> single_blanks(Line(1, b'1  2\t"a  b" ', 0, 11, 1)).text
    b'1 2 "a  b"'
    """
    text = _BLANKS.sub(lambda found: found[1] or b" ", line.text.strip(b" \t"))
    return line._replace(text=text)
