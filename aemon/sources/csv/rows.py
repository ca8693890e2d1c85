"""Lines of a CSV file as a table; a line that does not fit its header is a row without values."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from aemon.sources.csv.header import Header
from aemon.sources.csv.lines import Line, split

# Texts that mean a missing number: the list of pandas, without words that people use as values.
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>")
_MOST_SHOWN = 80  # characters of a line in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """The lines that do not fit their header: the first line, and the number of such lines."""

    line: Line
    expected: int
    count: int

    def summary(self, separator: str) -> str:
        """Return the fault of the first line and the number of rejected lines, as text."""
        fields = split(self.line.text, separator)
        text = self.line.text[:_MOST_SHOWN].decode(errors="replace")
        found = f"{self.line.number}: {self.expected} fields are expected"
        found += ", and a quote is not closed" if fields is None else f" and {len(fields)} found"
        found += f": {text!r}; {self.count} such line{'' if self.count == 1 else 's'} rejected"
        blanks = "; with separator: blanks, several blanks are one" if separator == " " else ""
        return found + blanks


def parse(
    lines: Sequence[Line], header: Header, as_text: Sequence[str]
) -> tuple[pd.DataFrame, Malformed | None]:
    """Return a table with one row for each line, and the lines that do not fit the header.

    A line with too many or too few fields, or with a quote that is not closed, becomes a row of
    missing values. Extra separators are ignored at the end of a line. A line may leave out the last
    columns if these columns have no name. Columns in `as_text` stay text.
    """
    separator, columns = header.separator, header.columns
    mark, separators = separator.encode(), len(columns) - 1
    fitted = [
        line.text
        if line.text.count(mark) == separators and b'"' not in line.text
        else _fitted(line.text, header)
        for line in lines
    ]
    malformed = [line for line, text in zip(lines, fitted, strict=True) if text is None]
    empty = mark * separators
    table = pd.read_csv(
        io.BytesIO(b"\n".join([*(empty if text is None else text for text in fitted), b""])),
        sep=separator,
        header=None,
        names=list(columns),
        index_col=False,
        dtype=dict.fromkeys(as_text, str),
        keep_default_na=False,
        na_values={name: [""] if name in as_text else list(_MISSING) for name in columns},
        skip_blank_lines=False,
        lineterminator="\n",
        low_memory=False,
        encoding_errors="replace",
    )
    if not malformed:
        return table, None
    return table, Malformed(line=malformed[0], expected=len(columns), count=len(malformed))


def _fitted(text: bytes, header: Header) -> bytes | None:
    """Return a line with as many fields as its header; None if the line does not fit."""
    mark, width = header.separator.encode(), len(header.columns)
    if b'"' not in text:
        surplus = text.count(mark) + 1 - width
    else:
        fields = split(text, header.separator)
        if fields is None:
            return None
        surplus = len(fields) - width
    if surplus == 0:
        return text
    if surplus < 0:
        return text + -surplus * mark if width + surplus >= header.named else None
    return _without_ends(text, mark, surplus)


def _without_ends(text: bytes, mark: bytes, surplus: int) -> bytes | None:
    """Remove the last `surplus` fields of a line; return None if such a field is not empty."""
    for _ in range(surplus):
        text, _, end = text.rpartition(mark)
        if end.strip():
            return None
    return text
