"""Evaluation of a condition for each record: true, false, or open because a cell is missing."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from aemon.config.values.conditions import (
    Column,
    Compared,
    Condition,
    IsTrue,
    Joined,
    Listed,
    Missing,
    Not,
    Operand,
    Value,
)
from aemon.detection.arrays import Mask, Values
from aemon.detection.features.cells import is_absent, read_booleans, read_numbers, read_texts
from aemon.detection.features.readings import AS_IS, Reading

_COMPARE = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class Answer(NamedTuple):
    """Results of a condition for N records; a result may be open because a cell is missing."""

    holds: Mask  # (N,), True where the condition holds; False where the result is open
    open: Mask  # (N,), True where a missing cell leaves the result open


def hold(
    condition: Condition, values: pd.DataFrame, readings: Mapping[str, Reading] | None = None
) -> Answer:
    """Evaluate a condition for N records, with the three-valued logic of SQL.

    A comparison is open if a cell is missing, or if a cell cannot be read as the type of the other
    side. `and` is false if any part is false, even if other parts are open. `or` is true if any
    part is true, even if other parts are open.

    Args:
        condition: condition on columns of the records.
        values: (N, columns) the cells of the records.
        readings: column -> conversion of its cells, for columns that need a conversion.
    """
    return _Asked(values, readings or {}).answer(condition)


class _Asked:
    """The records for which a condition is evaluated, with the conversion of their cells."""

    def __init__(self, values: pd.DataFrame, readings: Mapping[str, Reading]) -> None:
        self._values = values
        self._readings = readings

    def answer(self, condition: Condition) -> Answer:  # noqa: PLR0911 -- a table of cases
        match condition:
            case Compared(column, sign, other):
                return self._compared(column, sign, other)
            case Listed(column, values):
                return self._any([self._compared(column, "==", value) for value in values])
            case Missing(column):
                found = is_absent(self._cells(column))
                return Answer(found, np.zeros(len(found), dtype=bool))
            case IsTrue(column):
                return self._compared(column, "==", True)
            case Not(part):
                inner = self.answer(part)
                return Answer(~inner.holds & ~inner.open, inner.open)
            case Joined("or", parts):
                return self._any([self.answer(part) for part in parts])
            case Joined(_, parts):
                opposite = self._any([self.answer(Not(part)) for part in parts])
                return Answer(~opposite.holds & ~opposite.open, opposite.open)

    def _any(self, answers: list[Answer]) -> Answer:
        holds = np.logical_or.reduce([answer.holds for answer in answers])
        return Answer(holds, np.logical_or.reduce([answer.open for answer in answers]) & ~holds)

    def _compared(self, column: Column, sign: str, other: Operand) -> Answer:
        if isinstance(other, Column):
            return self._columns_compared(column, sign, other)
        if isinstance(other, str):
            return self._text_compared(column, sign, other)
        numbers = self._truths(column) if isinstance(other, bool) else self._numbers(column)
        return Answer(_compare(sign, numbers, other) & ~np.isnan(numbers), np.isnan(numbers))

    def _columns_compared(self, left: Column, sign: str, right: Column) -> Answer:
        """Compare two columns as numbers; if a cell is not a number, compare texts for equality."""
        first, second = self._numbers(left), self._numbers(right)
        numbers = ~np.isnan(first) & ~np.isnan(second)
        holds = _compare(sign, first, second) & numbers
        if sign not in ("==", "!=") or numbers.all():
            return Answer(holds, ~numbers)
        texts, others = self._texts(left), self._texts(right)
        present = (texts != "") & (others != "")
        same = np.asarray(texts == others, dtype=bool)
        return Answer(
            np.where(numbers, holds, present & (same == (sign == "=="))), ~numbers & ~present
        )

    def _text_compared(self, column: Column, sign: str, value: str) -> Answer:
        texts = self._texts(column)
        present = np.asarray(texts != "", dtype=bool)
        same = np.asarray(texts == value.strip(), dtype=bool)
        return Answer((same == (sign == "==")) & present, ~present)

    def _cells(self, column: Column) -> "pd.Series":
        reading = self._readings.get(column.name, AS_IS)
        return reading.prepare(self._values[column.name])

    def _numbers(self, column: Column) -> Values:
        return read_numbers(self._cells(column))

    def _truths(self, column: Column) -> Values:
        numbers = read_booleans(self._cells(column))
        return np.where(np.isin(numbers, (0.0, 1.0)), numbers, np.nan)

    def _texts(self, column: Column) -> "np.ndarray":
        """Return the cells of a column as texts (N,); a missing cell gives an empty text."""
        texts, codes = read_texts(self._cells(column))
        return np.array([*texts, ""], dtype=object)[codes]


def _compare(sign: str, first: Values, second: Values | Value) -> Mask:
    with np.errstate(invalid="ignore"):
        return np.asarray(_COMPARE[sign](first, second), dtype=bool)
