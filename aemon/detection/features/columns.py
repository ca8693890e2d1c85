"""What a table's columns are taken for, and why."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from aemon.detection.features.cells import (
    EXAMPLE_LENGTH,
    Cells,
    Sort,
    are_opaque,
    is_absent,
    is_plain,
    read_cells,
    read_texts,
    sorts_of,
    text_of,
    unread_dtype,
)
from aemon.detection.features.number_texts import MISSING_WORDS
from aemon.errors import FrameError
from aemon.texts import cut

Kind = Literal["numeric", "boolean", "categorical", "angle", "counter", "context", "ignored"]

READABLE_SHARE = 0.95
"""Text is taken as numbers, or as times, when this share of its values can be read as such."""

MOSTLY_NUMBERS, HALF_NUMBERS = 0.75, 0.5
"""Text that is no code is taken as numbers with words among them from the first share on, and from
the second where there are but few different words, each repeated."""

FEW_WORDS = 10

MOST_CODES = 12
"""So few different whole numbers with words among them may be codes, such as 1, 2, 3 and A."""

MOST_SHOWN = 5
"""Words among numbers that a report names."""

MOST_CATEGORIES = 50
"""More different texts than this are a name or a note: a code cannot learn them."""

RECORDS_PER_CATEGORY = 2
"""Fewer records a category than this on average, and the next record brings a new one."""

IDENTIFIER_SHARE = 0.9
"""A text column with at least this share of different values identifies its records."""

FEW_RECORDS = 50
"""In fewer records than this a column has not shown yet how many values it takes."""

EMPTY = "every value missing"
CONSTANT = "constant: flagged when it moves"
ONE_SO_FAR = "one value so far"

_TIMES = "times: only the source's time column is used"
_UNJUDGED: dict[Sort, str] = {
    "time": _TIMES,
    "duration": "lengths of time: give them as numbers of seconds",
    "complex": "complex numbers: give their parts as columns of their own",
    "nested": "nested values: select their parts as columns of their own",
    "binary": "binary values: select what can be measured of them",
}

_ISO_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-4])(:?[0-5]\d(:?[0-6]\d([.,]\d+)?)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReport:
    """What one column was taken for, and why."""

    column: str
    kind: Kind
    reason: str


def named_columns(values: pd.DataFrame) -> pd.DataFrame:
    """The same table with text as column names.

    Raises:
        FrameError: two columns have the same name.
    """
    names = [str(name) for name in values.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FrameError(
            f"more than one column is named {', '.join(map(repr, twice))}",
            todo="give each column a name of its own, in SQL with AS",
        )
    return values.set_axis(names, axis=1)


def choose_kind(values: "pd.Series[Any]", written: str = "") -> tuple[Kind, str]:
    """What a column is taken for when the configuration does not say, and why.

    Args:
        values: its cells, as they are read.
        written: how its numbers are written, where that is unusual.
    """
    absent = is_absent(values)
    if absent.all():
        return "ignored", EMPTY if len(values) else "no record yet"
    unread = unread_dtype(values)
    if unread:
        return "ignored", _UNJUDGED[unread]
    if is_plain(values):
        return _choose_number(values, read_cells(values), "")
    sorts = sorts_of(values)
    counts = Counter(sorts[~absent])
    unjudged = {sort: counts[sort] for sort in _UNJUDGED if counts[sort]}
    if 2 * sum(unjudged.values()) > counts.total():
        return "ignored", _UNJUDGED[max(unjudged, key=lambda sort: unjudged[sort])]
    cells = read_cells(values)
    if _are_numbers(values, cells):
        as_text = 2 * counts["text"] > counts.total()
        told = f" written as text, {written}" if written else " written as text" if as_text else ""
        return _choose_number(values, cells, told)
    return _choose_text(values)


def _are_numbers(values: "pd.Series[Any]", cells: Cells) -> bool:
    """Return whether enough cells of a column of objects are numbers, and the rest mere words."""
    expected = cells.present & ~are_opaque(values)  # a stray list is a missing cell
    readable = ~np.isnan(cells.numbers)
    if readable.sum() >= READABLE_SHARE * expected.sum():
        return True
    found = np.unique(cells.numbers[readable])
    if len(found) <= MOST_CODES and (found == np.rint(found)).all():
        return False
    words = word_counts(values, cells)
    known = sum(count for word, count in words.items() if word.lower() in MISSING_WORDS)
    share = readable.sum() / max(expected.sum() - known, 1)
    few = len(words) <= FEW_WORDS and min(words.values(), default=0) > 1
    return bool(share >= (HALF_NUMBERS if few else MOSTLY_NUMBERS))


def word_counts(values: "pd.Series[Any]", cells: Cells) -> Counter[str]:
    """Return how often each text is met that is no number."""
    return Counter(text_of(cell) for cell in values[cells.unreadable] if isinstance(cell, str))


def missing_cells_text(values: "pd.Series[Any]", cells: Cells) -> str:
    """How many of a column's cells are missing for what reason; empty where none is."""
    unreadable = int(cells.unreadable.sum())
    words = ""
    if unreadable:
        read = int((~np.isnan(cells.numbers)).sum())
        words = f"; {read} of {read + unreadable} are numbers"
        if most := word_counts(values, cells).most_common(MOST_SHOWN):
            shown = ", ".join(f"{shortened(word)!r} ({count})" for word, count in most)
            words += f"; these words are taken as missing: {shown}"
        else:
            words += ", the others are taken as missing"
    counts = {"missing": int(cells.missing.sum()), "infinite": int(cells.infinite.sum())}
    told = [f"{count} {why}" for why, count in counts.items() if count]
    if not told:
        return words
    if told == [f"{counts['missing']} missing"]:
        return f"{words}; {told[0]}"
    taken = "taken as missing" if len(told) == 1 else "both are missing cells"
    return f"{words}; {', '.join(told)} ({taken})"


def shortened(text: str) -> str:
    """A text short enough for a sentence."""
    return cut(text, EXAMPLE_LENGTH)


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "record"), counted(2, "different text")
    ('1 record', '2 different texts')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def _choose_number(values: "pd.Series[Any]", cells: Cells, written: str) -> tuple[Kind, str]:
    present = cells.numbers[~np.isnan(cells.numbers)]
    if present.size == 0:
        return "ignored", f"{EMPTY} or infinite"
    if _all_truths(values):
        return "boolean", f"true and false{missing_cells_text(values, cells)}"
    if present.min() == 0 and present.max() == 1 and np.isin(present, (0, 1)).all():
        return "boolean", f"only 0 and 1{written}{missing_cells_text(values, cells)}"
    return "numeric", f"numbers{written}{missing_cells_text(values, cells)}"


def _all_truths(values: "pd.Series[Any]") -> bool:
    if is_plain(values):
        return bool(pd.api.types.is_bool_dtype(values.dtype))
    return bool((sorts_of(values[~is_absent(values)]) == "boolean").all())


def _choose_text(values: "pd.Series[Any]") -> tuple[Kind, str]:
    texts, codes = read_texts(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    observed, different = int(counts.sum()), len(texts)
    if counts[[bool(_ISO_TIME.fullmatch(text)) for text in texts]].sum() >= (
        READABLE_SHARE * observed
    ):
        return "ignored", _TIMES
    found = f"{counted(different, 'different text')} in {counted(observed, 'record')}"
    if different > 1 and different * RECORDS_PER_CATEGORY > observed and observed < FEW_RECORDS:
        return "ignored", f"too few records to tell, {found}"
    if different > RECORDS_PER_CATEGORY and different >= IDENTIFIER_SHARE * observed:
        return "ignored", f"an identifier, {found}"
    if different > MOST_CATEGORIES:
        return "ignored", f"free text, {found}: more than {MOST_CATEGORIES}"
    if different > 1 and different * RECORDS_PER_CATEGORY > observed:
        return "ignored", f"free text, {found}"
    missing = len(values) - observed
    gaps = f"; {missing} missing" if missing else ""
    return "categorical", f"{counted(different, 'different text')}{gaps}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    >>> listed(["flow", "pressure", "current"])
    'flow, pressure and current'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
