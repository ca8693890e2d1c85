"""Modes of operation, such as products or recipes: context of a record that is never blamed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aemon.config.column_settings import ColumnSettings
from aemon.detection.arrays import Mask, Rows, Values
from aemon.detection.features.cells import EXAMPLE_LENGTH, Modes, read_texts, text_of
from aemon.detection.features.columns import ColumnReport, counted, shortened
from aemon.detection.features.readings import Reading
from aemon.errors import FrameError, TrainingError
from aemon.texts import cut

if TYPE_CHECKING:
    from aemon.frame import Frame

MOST_MODES = 50
"""Largest number of modes of a detector. With more modes, each mode has too few records."""

UNSEEN, MISSING = -2, -1
"""Codes of a mode that is not in the training set, and of a missing cell."""

_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Mode:
    """The column that holds each record's mode. `fit_mode` makes it.

    Attributes:
        column: name of the column.
        names: (M,) names of the modes in training, the most frequent first.
        shares: (M,) share of each mode in the training records.
        reading: how the column's cells are read.
    """

    column: str
    names: tuple[str, ...]
    shares: tuple[float, ...]
    reading: Reading

    def read(self, values: pd.DataFrame) -> Modes:
        """Return the modes of N records.

        The code of a mode that is not in the training set is `UNSEEN`. The code of a missing cell
        is `MISSING`.

        Raises:
            FrameError: the column of modes is missing.
        """
        if self.column not in values.columns:
            raise FrameError(
                f"column {self.column!r}, the mode that this detector was trained on, is missing; "
                f"the records have: {', '.join(values.columns) or 'none'}",
                todo="restore the column, or take columns.mode out and train again",
            )
        texts, codes = read_texts(self.reading.prepare(values[self.column]))
        places = {name: place for place, name in enumerate(self.names)}
        known = np.array([*(places.get(text, UNSEEN) for text in texts), MISSING], dtype=np.intp)
        shown = np.array([*(cut(text, EXAMPLE_LENGTH) for text in texts), ""], dtype=object)
        return Modes(shown[codes], known[codes])

    def places(self, codes: Rows) -> Values:
        """Return raw features (N, M) of N records: 1 for a record's own mode, 0 for other modes.

        If a record has no known mode, all its features are NaN.
        """
        known = codes >= 0
        found = np.full((len(codes), len(self)), np.nan)
        found[known] = 0.0
        if len(self):
            found[known, codes[known]] = 1.0
        return found

    def __len__(self) -> int:
        """Return the number of features: the number of modes, or 0 for a single mode."""
        return len(self.names) if len(self.names) > 1 else 0

    def reason(self, text: str) -> str:
        """Return the reason for flagging a record in a mode that is not in the training set."""
        return f"{shortened(self.column)} {text} is not in the training records"

    @property
    def report(self) -> ColumnReport:
        """Report of the column: its kind is context, and the reason names the number of modes."""
        modes = counted(len(self.names), "mode")
        return ColumnReport(
            column=self.column, kind="context", reason=f"{modes}: read but not judged"
        )

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {
            "column": self.column,
            "names": list(self.names),
            "shares": list(self.shares),
            "reading": self.reading.as_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Mode | None":
        """Return the modes that `as_json` wrote; None for a detector without modes."""
        if not stored:
            return None
        return cls(
            column=stored["column"],
            names=tuple(stored["names"]),
            shares=tuple(stored["shares"]),
            reading=Reading.from_json(stored["reading"]),
        )


def fit_mode(frame: "Frame", columns: ColumnSettings) -> Mode | None:
    """Return the modes of the training set; None if no column of modes is configured.

    Raises:
        TrainingError: there are more than `MOST_MODES` modes, or every cell is missing.
    """
    if columns.mode is None:
        return None
    values = frame.values.set_axis([str(name) for name in frame.values.columns], axis=1)
    reading = Reading(missing=frozenset(text_of(mark) for mark in columns.missing))
    texts, codes = read_texts(reading.prepare(values[columns.mode]))
    counts = Counter(texts[code] for code in codes if code >= 0)
    if not counts:
        raise TrainingError(
            f"columns.mode: every cell of {columns.mode!r} is missing",
            todo="name another column, or take columns.mode out",
        )
    if len(counts) > MOST_MODES:
        examples = ", ".join(repr(cut(text, EXAMPLE_LENGTH)) for text in texts[:_MOST_NAMED])
        raise TrainingError(
            f"columns.mode: {columns.mode!r} holds {len(counts)} different values, such as "
            f"{examples}; at most {MOST_MODES} modes are possible",
            todo="name a column whose values are often repeated",
        )
    total, common = sum(counts.values()), sorted(counts, key=lambda text: (-counts[text], text))
    shares = tuple(counts[text] / total for text in common)
    return Mode(column=columns.mode, names=tuple(common), shares=shares, reading=reading)


def unseen(codes: Rows) -> Mask:
    """Return a mask (N,) of the records in a mode that is not in the training set."""
    return np.asarray(codes == UNSEEN, dtype=bool)
