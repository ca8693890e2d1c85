"""Whether a condition holds, record by record: true, false, or nobody can tell."""

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
    """Of N records: where a condition holds, and where a missing cell leaves it open."""

    holds: Mask  # (N,), false where it is open
    open: Mask  # (N,)


def hold(
    condition: Condition, values: pd.DataFrame, readings: Mapping[str, Reading] | None = None
) -> Answer:
    """Answer a condition for N records, in the logic of SQL: what is unknown stays so.

    A comparison with a missing cell, or with one that cannot be read as what it is compared with,
    is open; `and` is false where one part is, `or` true where one part is, whatever the others are.

    Args:
        condition: about columns of the records.
        values: (N, columns) the records.
        readings: how cells are read, of columns that are not read as they are.
    """
    return _Asked(values, readings or {}).answer(condition)


class _Asked:
    """The records, and how their cells are read."""

    def __init__(self, values: pd.DataFrame, readings: Mapping[str, Reading]) -> None:
        self._values = values
        self._readings = readings

    def answer(self, condition: Condition) -> Answer:  # noqa: PLR0911 -- a table, read from the top
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
        """Two cells as numbers; where one is none, whether they are the same text."""
        first, second = self._numbers(left), self._numbers(right)
        numbers = ~np.isnan(first) & ~np.isnan(second)
        holds = _compare(sign, first, second) & numbers
        if sign not in ("==", "!=") or numbers.all():
            return Answer(holds, ~numbers)
        texts, others = self._texts(left), self._texts(right)
        there = (texts != "") & (others != "")
        same = np.asarray(texts == others, dtype=bool)
        return Answer(np.where(numbers, holds, there & (same == (sign == "=="))), ~numbers & ~there)

    def _text_compared(self, column: Column, sign: str, value: str) -> Answer:
        texts = self._texts(column)
        there = np.asarray(texts != "", dtype=bool)
        same = np.asarray(texts == value.strip(), dtype=bool)
        return Answer((same == (sign == "==")) & there, ~there)

    def _cells(self, column: Column) -> "pd.Series":
        reading = self._readings.get(column.name, AS_IS)
        return reading.prepare(self._values[column.name])

    def _numbers(self, column: Column) -> Values:
        return read_numbers(self._cells(column))

    def _truths(self, column: Column) -> Values:
        numbers = read_booleans(self._cells(column))
        return np.where(np.isin(numbers, (0.0, 1.0)), numbers, np.nan)

    def _texts(self, column: Column) -> "np.ndarray":
        """Cells as texts (N,), empty where one is missing."""
        texts, codes = read_texts(self._cells(column))
        return np.array([*texts, ""], dtype=object)[codes]


def _compare(sign: str, first: Values, second: Values | Value) -> Mask:
    with np.errstate(invalid="ignore"):
        return np.asarray(_COMPARE[sign](first, second), dtype=bool)
