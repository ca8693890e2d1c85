"""Finds the format of numbers in texts: decimal comma, separators of thousands, and units."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan, nan
from typing import Literal, NamedTuple

DecimalMark = Literal[".", ","]

MISSING_WORDS = frozenset(
    {
        "?", "-", "--", "---", ".", "#", "*", "n/a", "na", "#n/a", "n.a.", "null", "none", "nil",
        "bad", "bad input", "bad value", "bad quality", "no data", "i/o timeout", "timeout",
        "error", "err", "fail", "failed", "fault", "invalid", "missing", "unknown", "offline",
        "not available", "unavailable", "not connected", "comm fail", "shutdown", "configure",
        "pt created", "over range", "under range", "out of range", "#value!", "#ref!", "#div/0!",
    }
)  # fmt: skip
"""Words that loggers and data historians write in place of a missing number, in lower case."""

_SPACES = "\u0020\u00a0\u2009\u202f"
_GROUPS: Mapping[DecimalMark, tuple[str, ...]] = {
    ".": ("", ",", _SPACES, "'\u2019"),
    ",": ("", ".", _SPACES, "'\u2019"),
}
"""Decimal mark -> possible separators of thousands; each separator is a set of characters."""

_REST = r"(?:[^\d,;:|=]|[23]){0,15}"  # such as m3/h
_WITH_UNIT = re.compile(
    rf"([+\-\u2212]?[\d.,'\u2019{_SPACES}]*\d(?:[eE][+-]?\d+)?)[{_SPACES}]*"
    rf"(?![eE][+-]?\d)([^\W\d_]{_REST}|[%\u2030\u00b0$\u20ac\u00a3]{_REST})"
)
_RANKS = frozenset({"st", "nd", "rd", "th"})
MOST_UNITS = 5
"""Largest number of different units in a column. If more different texts follow its numbers, the
texts are not units."""

_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_NAMES = {".": "point", ",": "comma"}
_MINUS = "\u2212"


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """The format in which a column's numbers are written.

    The default is the format of a Python float.

    Attributes:
        decimal: the mark before decimals.
        group: characters that may separate thousands; empty without a separator.
        unit: unit that may follow a number; empty without a unit.
        minus: the minus sign of some cells, if it is not a hyphen.
    """

    decimal: DecimalMark = "."
    group: str = ""
    unit: str = ""
    minus: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        grouped = rf"[1-9]\d{{0,2}}([{re.escape(self.group)}]\d{{3}})+|" if self.group else ""
        mark = re.escape(self.decimal)
        return re.compile(rf"[+\-\u2212]?(({grouped}\d+)({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?")

    def number(self, text: str) -> float:
        """Return the number in a text; NaN if the text is not a number in this format."""
        text = text.strip()
        if self.unit and text.endswith(self.unit):
            text = text.removesuffix(self.unit).rstrip()
        if not self._pattern.fullmatch(text):
            return nan
        text = text.translate(dict.fromkeys(map(ord, self.group)))
        return float(text.replace(self.decimal, ".").replace(_MINUS, "-"))

    def __str__(self) -> str:
        """Return the unusual parts of the format, separated by commas; empty if there are none."""
        group = {"": "", _SPACES: "blanks", "'\u2019": "apostrophes"}.get(self.group)
        group = f"{_NAMES[self.group]}s" if group is None else group
        unusual = [
            f"decimal {_NAMES[self.decimal]}" if self.decimal != "." else "",
            f"{group} between thousands" if group else "",
            f"unit {self.unit!r}" if self.unit else "",
            f"the minus sign {self.minus}" if self.minus else "",
        ]
        return ", ".join(filter(None, unusual))


PLAIN = NumberFormat()

PLAIN_SHARE = 0.95
"""The plain format is chosen if it can read at least this share of the cells that the best format
can read. Without this rule, a single 1,5 in a column of numbers such as 1.234 would make the point
of all numbers a separator of thousands."""


class Doubt(NamedTuple):
    """A text that two formats read as two different numbers."""

    text: str
    numbers: tuple[float, float]


def infer_format(
    texts: Sequence[str], counts: Sequence[int], decimal: DecimalMark | None = None
) -> NumberFormat | Doubt | None:
    """Return the number format that can read most of a column's cells.

    If two such formats read a text as different numbers, the result is a `Doubt`. Numbers that are
    written like Python floats have the plain format.

    Args:
        texts: the column's distinct texts.
        counts: the number of cells with each text.
        decimal: the decimal mark, if it is known.

    Returns:
        None if no cell can be read as a number.
    """
    unit, minus = _unit_of(texts), _MINUS if any(_MINUS in text for text in texts) else ""
    marks: tuple[DecimalMark, ...] = (".", ",") if decimal is None else (decimal,)
    formats = [
        NumberFormat(decimal=mark, group=group, unit=unit, minus=minus)
        for mark in marks
        for group in _GROUPS[mark]
    ]
    addresses = sum(bool(_ADDRESS.fullmatch(text)) for text in texts)
    if 2 * addresses > len(texts):
        return None
    numbers = [[found.number(text) for text in texts] for found in formats]
    read = [
        sum(count for number, count in zip(row, counts, strict=True) if not isnan(number))
        for row in numbers
    ]
    most = max(read, default=0)
    if not most:
        return None
    plain = NumberFormat(unit=unit, minus=minus)
    if plain in formats and read[formats.index(plain)] >= PLAIN_SHARE * most:
        return plain
    best = [place for place, count in enumerate(read) if count == most]
    first = best[0]
    for other in best[1:]:
        for text, one, two in zip(texts, numbers[first], numbers[other], strict=True):
            if one != two and not (isnan(one) or isnan(two)):
                return Doubt(text, (one, two))
    return formats[first]


def units_of(texts: Sequence[str]) -> dict[str, str]:
    """Return unit -> first text with this unit, for texts of a number and a unit.

    The result is empty if there are more than `MOST_UNITS` units, or if a unit is the ending of an
    ordinal number such as 1st.
    """
    found: dict[str, str] = {}
    for text in texts:
        if match := _WITH_UNIT.fullmatch(text.strip()):
            found.setdefault(match[2].strip(), text)
    return found if len(found) <= MOST_UNITS and not found.keys() & _RANKS else {}


def _unit_of(texts: Sequence[str]) -> str:
    """Return the unit that follows the numbers; empty if there is no unit, or several units."""
    found = units_of(texts)
    return next(iter(found)) if len(found) == 1 else ""
