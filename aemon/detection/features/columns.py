"""Choice of the kind of each column of a table, with the reason for the choice."""

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
"""A column of texts holds numbers if at least this share of its cells can be read as numbers. It
holds times if at least this share of its cells can be read as times."""

MOSTLY_NUMBERS, HALF_NUMBERS = 0.75, 0.5
"""A column of numbers and words counts as numeric if at least this share of its cells are numbers.
The second share is used if there are few different words and each word is repeated. A column of
codes is never numeric."""

FEW_WORDS = 10
"""`HALF_NUMBERS` is used if a column has at most this many different words."""

MOST_CODES = 12
"""A column of words and of at most this many different whole numbers may hold codes, such as 1, 2
and A."""

MOST_SHOWN = 5
"""A report names at most this many of the words among the numbers of a column."""

MOST_CATEGORIES = 50
"""Largest number of different texts in a categorical column. A column with more texts holds names
or notes; an autoencoder cannot learn such a column."""

RECORDS_PER_CATEGORY = 2
"""Least average number of records per category. With fewer records, the next record is likely to
have a new category."""

IDENTIFIER_SHARE = 0.9
"""Least share of different values in a text column that identifies its records."""

FEW_RECORDS = 50
"""Fewer records than this do not show how many different values a column has."""

EMPTY = "every value missing"
CONSTANT = "constant: flagged if its value changes"
ONE_SO_FAR = "one value so far"

_TIMES = "times: only the source's time column is used"
_UNJUDGED: dict[Sort, str] = {
    "time": _TIMES,
    "duration": "lengths of time: give each length as a number of seconds",
    "complex": "complex numbers: give their parts as columns of their own",
    "nested": "nested values: select their parts as columns of their own",
    "binary": "binary values: select measured parts of them as columns of their own",
}

_ISO_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-4])(:?[0-5]\d(:?[0-6]\d([.,]\d+)?)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReport:
    """The kind that was chosen for one column, and the reason for this choice."""

    column: str
    kind: Kind
    reason: str


def named_columns(values: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the same cells, and with texts as column names.

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
    """Choose the kind of a column without a configured kind; return the kind and the reason.

    Args:
        values: (N,) the column's cells, as `Reading.prepare` returns them.
        written: description of an unusual number format, for the reason; empty for the usual
            format.
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
        shown = f" written as text, {written}" if written else " written as text" if as_text else ""
        return _choose_number(values, cells, shown)
    return _choose_text(values)


def _are_numbers(values: "pd.Series[Any]", cells: Cells) -> bool:
    """Return whether enough cells (N,) of a column of objects are numbers.

    If enough cells are numbers, the other cells count as missing.
    """
    expected = cells.present & ~are_opaque(values)  # a list among numbers is a missing cell
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
    """Return each text that is not a number, with its count."""
    return Counter(text_of(cell) for cell in values[cells.unreadable] if isinstance(cell, str))


def missing_cells_text(values: "pd.Series[Any]", cells: Cells) -> str:
    """Return a text with the number of missing cells for each reason; empty if none is missing."""
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
    parts = [f"{count} {why}" for why, count in counts.items() if count]
    if not parts:
        return words
    if parts == [f"{counts['missing']} missing"]:
        return f"{words}; {parts[0]}"
    taken = "taken as missing" if len(parts) == 1 else "both are missing cells"
    return f"{words}; {', '.join(parts)} ({taken})"


def shortened(text: str) -> str:
    """Return the first `EXAMPLE_LENGTH` characters of a text, with three dots if it is longer."""
    return cut(text, EXAMPLE_LENGTH)


def counted(number: int, what: str) -> str:
    """Return a number with a noun; the noun is in the plural unless the number is 1.

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
        return "ignored", f"too few records to decide, {found}"
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
    """Return names as one text: with commas between them, and "and" before the last name.

    >>> listed(["flow", "pressure", "current"])
    'flow, pressure and current'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
