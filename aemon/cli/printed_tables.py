"""Tables and paragraphs that fit the terminal without breaking a word or a number."""

import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import zip_longest

import typer

from aemon.logs import escaped

INDENT = "  "
_GAP = "  "
_MOST_NAME_WIDTH = 36
_MOST_CELL_WIDTH = 20
_LEAST_WORDS_WIDTH = 24  # a narrower last column of text is hard to read
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?[x%]?")
_LONG_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+(?:Z|[+-]00:00)?")


def terminal_width() -> int:
    """Return the width of the terminal in characters; 80 without a terminal."""
    return max(20, shutil.get_terminal_size().columns)


def one_line(value: object) -> str:
    """Return a value as one line of text that cannot move the cursor; empty for None."""
    text = "" if value is None else " ".join(str(value).split())
    return escaped(text)


def show_time(moment: datetime) -> str:
    """Return a time to the second, as text for people."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def short_key(key: str) -> str:
    """Return a record's key for display: a time without its fraction and zone.

    >>> short_key("2026-01-01T10:00:00.123456+00:00")
    '2026-01-01T10:00:00'
    """
    match = _LONG_TIME.fullmatch(key)
    return match[1] if match else key


def print_words(text: object, *, indent: str = "", colour: str | None = None) -> None:
    """Print a paragraph, wrapped between words."""
    for line in _wrapped(one_line(text), terminal_width() - len(indent)):
        typer.secho(f"{indent}{line}", fg=colour)


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    notes: Sequence[str] = (),
) -> None:
    """Print rows under their headings, and each row's note on separate lines below the row.

    Only the last column is wrapped. If the table is still too wide, each row is printed as a
    paragraph of headings and values.
    """
    if not rows:
        return
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(headings, *cells, strict=True)]
    left = terminal_width() - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
    if left < min(widths[-1], _LEAST_WORDS_WIDTH):
        lines = [list(_as_paragraph(headings, row)) for row in cells]
    else:
        right = [_is_numeric(column) for column in zip(*cells, strict=True)]
        widths[-1] = min(widths[-1], left)
        typer.secho(next(_as_lines(headings, widths, right)), bold=True)
        lines = [list(_as_lines(row, widths, right)) for row in cells]
    for block, note in zip_longest(lines, notes, fillvalue=""):
        for line in block:
            typer.echo(line)
        if note:
            print_words(note, indent=INDENT)


def print_side_by_side(rows: Sequence[tuple[str, Sequence[object]]]) -> None:
    """Print as many records side by side as fit; each row has a name, and a value of each record.

    Long names and texts are shortened, except in the first row, because it holds the times.
    """
    names = [_shortened(one_line(name), _MOST_NAME_WIDTH) for name, _ in rows]
    beside = max(map(_width, names))
    widest = terminal_width() - beside - len(_GAP)
    records: list[list[str]] = []
    used = beside
    for record in zip(*(values for _, values in rows), strict=True):
        first, *others = map(_shown, record)
        most = min(max(_MOST_CELL_WIDTH, _width(first)), widest)
        cells = [_shortened(first, widest), *(_shortened(cell, most) for cell in others)]
        used += len(_GAP) + max(map(_width, cells))
        if records and used > terminal_width():
            break
        records.append(cells)
    headings = ["", *(f"record {number}" for number in range(1, len(records) + 1))]
    print_table(headings, list(zip(names, *records, strict=True)))


def _shown(value: object) -> str:
    """Return a cell's value as text: six significant digits of a number, empty for None."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else one_line(value)


def _shortened(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"


def _as_lines(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    head = [_padded(*cell) for cell in zip(row[:-1], widths, right, strict=False)]
    last = list(_wrapped(row[-1], widths[-1])) or [""]
    if right[-1]:
        last[0] = _padded(last[0], widths[-1], to_the_right=True)
    yield _GAP.join([*head, last[0]]).rstrip()
    before = " " * sum(len(_GAP) + width for width in widths[:-1])
    for line in last[1:]:
        yield before + line


def _as_paragraph(headings: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    line = ""
    for heading, cell in zip(headings, row, strict=True):
        part = f"{heading} {cell}".strip()
        if not cell:
            continue
        if line and _width(line) + len(_GAP) + _width(part) > terminal_width():
            yield line
            line = ""
        line += (_GAP if line else "") + part
        if _width(line) > terminal_width():
            *done, line = _wrapped(line, terminal_width())
            yield from done
    yield line


def _padded(text: str, width: int, to_the_right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if to_the_right else text + space


def _is_numeric(column: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(cell) for cell in column if cell)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most `width` cells, cut between words; a wider word is cut, too."""
    from rich.cells import chop_cells

    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if _width(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *pieces, line = chop_cells(word, width)
        yield from pieces
    if line:
        yield line
