"""Derived columns: differences, means and spreads of a column over the last records of an entity.

Only configured columns are derived. No derivation is automatic: on public data sets of plants,
differences and means of all columns did not raise the average precision, because windows of records
already compare each record with the records before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from aemon.config.column_settings import LEAST_TOGETHER, ColumnSettings, DerivedColumn
from aemon.detection.arrays import Mask, Values
from aemon.detection.features.cells import read_numbers
from aemon.detection.features.columns import named_columns
from aemon.detection.features.readings import AS_IS, Reading, find_reading
from aemon.detection.series.tails import Tail, Tails
from aemon.detection.series.windows import Lagged, longest_gap, runs_of
from aemon.errors import FrameError
from aemon.frame import Frame, in_time_order

LEAST_PRESENT = 0.5
"""A mean or a spread is computed only if at least this share of its records is present and has a
number."""

_NO_SURPRISES = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Derivation:
    """The derived columns of a detector. Made by `fit_derivation`.

    Attributes:
        columns: name of each derived column -> how it is computed.
        longest_gap: longest time between two consecutive records of an entity. After a longer time,
            no earlier record counts.
        readings: column -> conversion of its cells, for columns that need a conversion.
        latest: the last numbers of each entity at the end of the training records.
    """

    columns: Mapping[str, DerivedColumn]
    longest_gap: np.timedelta64
    readings: Mapping[str, Reading] = field(default_factory=dict)
    latest: Tails = field(default_factory=Tails)

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that derived columns are computed from."""
        return tuple(dict.fromkeys(one.source for one in self.columns.values()))

    @property
    def context_rows(self) -> int:
        """Number of earlier records of the same entity that a derived column depends on."""
        return max(one.earlier for one in self.columns.values())

    def add(self, frame: Frame, before: Tails | None = None) -> tuple[Frame, Tails]:
        """Return N records with the derived columns, and the last numbers of each entity.

        A number is missing in a derived column if too few earlier records are known: at the first
        records of an entity, after a gap in time, and after a period in which the entity was not
        judged.

        Args:
            frame: the records. If they have the derived columns already, nothing is computed.
            before: the last numbers of each entity before these records.

        Raises:
            FrameError: a column is missing that a derived column is computed from.
        """
        kept = before or Tails()
        values = named_columns(frame.values)
        if all(name in values.columns for name in self.columns):
            return frame, kept
        numbers = self.numbers(values)
        runs = runs_of(frame.entities, frame.times, self.longest_gap, kept, frame.stretches)
        lagged = runs.lagged(numbers, self.context_rows)
        made = {}
        for name, one in self.columns.items():
            found = np.empty(len(frame))
            found[runs.order] = _derived(one, lagged, self.sources.index(one.source))
            made[name] = found
        after = runs.tails_after(numbers, np.zeros(len(frame)), frame.times, self.context_rows + 1)
        newer = {name: replace(tail, surprises=_NO_SURPRISES) for name, tail in after.items()}
        table = values.assign(**made) if len(frame) else values.reindex(columns=[*values, *made])
        return replace(frame, values=table), kept.with_newer(newer)

    def numbers(self, values: pd.DataFrame) -> Values:
        """Return the numbers (N, S) of the source columns.

        Raises:
            FrameError: a source column is missing.
        """
        for name in self.sources:
            if name not in values.columns:
                raise FrameError(
                    f"column {name!r}, used by columns.derived, is missing; "
                    f"the records have: {', '.join(values.columns) or 'none'}",
                    todo="restore the column, or change columns.derived and train again",
                )
        cells = [self.readings.get(name, AS_IS).prepare(values[name]) for name in self.sources]
        return np.column_stack([read_numbers(column) for column in cells])

    def as_json(self) -> dict[str, Any]:
        """Return all attributes in JSON types, for `from_json`."""
        return {
            "columns": {name: one.model_dump(mode="json") for name, one in self.columns.items()},
            "longest_gap": int(self.longest_gap.astype("timedelta64[us]").astype(np.int64)),
            "readings": {name: reading.as_json() for name, reading in self.readings.items()},
            "latest": latest_as_json(self.latest),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Derivation | None":
        """Return the derivation that `as_json` converted; None if no column is derived."""
        if not stored:
            return None
        return cls(
            columns={n: DerivedColumn.model_validate(one) for n, one in stored["columns"].items()},
            longest_gap=np.timedelta64(stored["longest_gap"], "us"),
            readings={n: Reading.from_json(one) for n, one in stored["readings"].items()},
            latest=latest_from_json(stored["latest"]),
        )


def fit_derivation(frame: Frame, columns: ColumnSettings) -> Derivation | None:
    """Return how the configured derived columns are computed; None if none is configured.

    Args:
        frame: the training records.
        columns: the settings of the columns.

    Raises:
        FrameError: a column that a derived column is computed from is missing or has no numbers; or
            the records have a column with the name of a derived column.
    """
    if not columns.derived:
        return None
    values = named_columns(frame.values)
    for name in columns.derived:
        if name in values.columns:
            raise FrameError(
                f"columns.derived: the records have a column {name!r} already",
                todo="give the derived column another name",
            )
    found = Derivation(
        columns=dict(columns.derived), longest_gap=longest_gap(frame.entities, frame.times)
    )
    readings = {
        name: find_reading(values[name], name, columns)[0]
        for name in found.sources
        if name in values.columns
    }
    found = replace(found, readings={name: one for name, one in readings.items() if one})
    numbers = found.numbers(values)
    for place, name in enumerate(found.sources):
        if len(frame) and np.isnan(numbers[:, place]).all():
            raise FrameError(
                f"columns.derived: column {name!r} has no numbers",
                todo="derive columns from columns of numbers",
            )
    return found


def with_derived(
    derivation: Derivation | None, frame: Frame, before: Tails | None = None
) -> tuple[Frame, Tails]:
    """Return the records with derived columns, if any, and the last numbers of each entity.

    Raises:
        FrameError: for the same reasons as `Derivation.add`.
    """
    return derivation.add(frame, before) if derivation is not None else (frame, Tails())


def derive(frame: Frame, columns: ColumnSettings) -> tuple[Frame, Derivation | None]:
    """Return records with the configured derived columns, and the derivation with its last numbers.

    Raises:
        FrameError: for the same reasons as `fit_derivation`.
    """
    fitted = fit_derivation(frame, columns)
    if fitted is None:
        return frame, None
    frame, latest = fitted.add(frame)
    return frame, replace(fitted, latest=latest)


def derive_in_order(frame: Frame, columns: ColumnSettings) -> tuple[Frame, Derivation | None]:
    """Return training records in the order of time with their derived columns.

    Raises:
        FrameError: for the same reasons as `fit_derivation`.
    """
    return derive(in_time_order(frame), columns)


def without_derived(derivation: Derivation | None, frame: Frame) -> Frame:
    """Return the records without their derived columns."""
    if derivation is None:
        return frame
    return replace(frame, values=frame.values.drop(columns=[*derivation.columns]))


def _derived(one: DerivedColumn, lagged: Lagged, place: int) -> Values:
    """Compute a derived column (N,) in the order of `lagged`, from the column at this place."""
    own = lagged.own[:, place]
    if one.how == "difference":
        earlier, there = lagged.earlier(one.count)
        found: Values = np.where(there, own - earlier[:, place], np.nan)
        return found
    count, total = np.zeros(len(own)), np.zeros(len(own))
    for numbers, there in _numbers_of(lagged, place, one.count):
        count += there
        total += np.where(there, numbers, 0.0)
    mean = np.divide(total, count, out=np.full(len(own), np.nan), where=count > 0)
    few = count < max(LEAST_PRESENT * one.count, LEAST_TOGETHER)
    if one.how == "mean":
        return np.where(few, np.nan, mean)
    squares = np.zeros(len(own))
    for numbers, there in _numbers_of(lagged, place, one.count):
        squares += np.where(there, (numbers - mean) ** 2, 0.0)
    variances: Values = np.divide(squares, count, out=np.full(len(own), np.nan), where=~few)
    return np.sqrt(variances)


def _numbers_of(lagged: Lagged, place: int, records: int) -> Iterator[tuple[Values, Mask]]:
    """Yield, for each lag, a column's numbers (N,) at this lag, and a mask (N,).

    A lag is a number of records, from 0 to `records` - 1. The mask is True where there is a number.
    """
    for lag in range(records):
        numbers, there = lagged.earlier(lag)
        yield numbers[:, place], there & ~np.isnan(numbers[:, place])


def latest_as_json(latest: Tails) -> dict[str, Any]:
    """Return entity -> [time, last numbers of the source columns]; a missing number is null."""
    return {
        entity: [
            str(tail.time),
            [[None if np.isnan(n) else float(n) for n in row] for row in tail.features],
        ]
        for entity, tail in latest.by_entity.items()
    }


def latest_from_json(stored: Any) -> Tails:
    """Return the last numbers that `latest_as_json` converted; empty if they cannot be read."""
    try:
        found = {
            str(entity): Tail(
                time=np.datetime64(time, "us"),
                features=np.array(rows, dtype=np.float64).reshape(len(rows), -1),
                surprises=_NO_SURPRISES,
            )
            for entity, (time, rows) in (stored or {}).items()
        }
    except (AttributeError, OverflowError, TypeError, ValueError):
        return Tails()
    if any(np.isnat(tail.time) or np.isinf(tail.features).any() for tail in found.values()):
        return Tails()
    return Tails(by_entity=found)
