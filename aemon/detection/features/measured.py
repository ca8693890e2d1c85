"""Kinds of columns of numbers: a number, an angle, or a counter that is judged by its increase."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aemon.config.column_settings import ColumnSettings
from aemon.detection.arrays import Rows
from aemon.detection.features.angles import least_angle
from aemon.detection.features.cells import read_numbers
from aemon.detection.features.checks.ranges import Range
from aemon.detection.features.configured import Taken
from aemon.detection.features.counters import is_counter
from aemon.detection.features.increases import Counter, counter_of, increases, usual_counter
from aemon.frame import Frame


def within_range(taken: Taken, name: str, columns: ColumnSettings) -> Taken:
    """Replace the cells outside of a column's configured range by missing cells, for training."""
    if name not in columns.ranges or taken.kind not in ("numeric", "angle", "boolean"):
        return taken
    low, high = columns.ranges[name]
    outside = Range(column=name, low=low, high=high).outside(read_numbers(taken.values))
    return replace(taken, values=taken.values.mask(outside)) if outside.any() else taken


def measured(
    taken: Taken, name: str, frame: Frame, order: Rows, *, in_order: bool
) -> tuple[Taken, Counter | None]:
    """Detect angles and counters; return any other column unchanged.

    A counter is judged by its increase, or left out if this is not possible. The second part of the
    result is the counter, or None for a column that is not judged by its increase.

    Args:
        taken: a column of numbers, or a column that is configured as a counter.
        name: name of the column.
        frame: the N records.
        order: (N,) indices that sort the records by time.
        in_order: whether the records have an order in time.
    """
    numbers = read_numbers(taken.values)[order]
    entities, times = frame.entities[order], frame.times[order]
    configured = taken.kind == "counter"
    direction = is_counter(numbers, entities)
    if configured or direction:
        counter = usual_counter(name, entities, times) if configured else None
        if direction == "rises" and counter is None:
            counter = counter_of(name, numbers, entities, times)
        if counter is None or not in_order:
            why = (
                f"a counter or row number: it only {direction or 'rises'}, so later values leave "
                "the range of the training; to judge it anyway, set columns.kinds to numeric, "
                "or to counter, which judges its increase"
            )
            return replace(taken, kind="ignored", reason=why), None
        found, _ = increases(numbers[:, None], entities, times, [counter])
        gained = np.empty(len(numbers))
        gained[order] = found[:, 0]
        values = pd.Series(gained, index=taken.values.index)
        return replace(taken, kind="counter", reason=counter.reason, values=values), counter
    if least_angle(numbers, entities) is not None:
        why = f"an angle in degrees: the two ends of its turn are neighbours; {taken.reason}"
        return replace(taken, kind="angle", reason=why), None
    return taken, None
