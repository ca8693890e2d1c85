"""Fitting of the operating condition, and the choice of records for training."""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from aemon.config.column_settings import ColumnSettings
from aemon.config.values.conditions import columns_of, parse_condition
from aemon.detection.features.columns import named_columns
from aemon.detection.features.configured import check_condition
from aemon.detection.features.readings import find_reading
from aemon.detection.operation.operation import Operation
from aemon.detection.thresholds.by_entity import of_entities
from aemon.frame import Frame

MOST_SETTLE_ROWS = 10_000
"""Largest number of earlier records of an entity that are read for a late record.

The earlier records show whether the condition had held for long enough.
"""


def fit_operation(frame: Frame, columns: ColumnSettings) -> Operation | None:
    """Return the operating condition with the conversion of its columns; None if not configured.

    Args:
        frame: records of all operating states.
        columns: settings of the columns, with the condition.

    Raises:
        FrameError: a column of the condition is missing, or its values can be read in two ways.
    """
    if columns.only_when is None:
        return None
    values = named_columns(frame.values)
    check_condition(columns, list(values.columns))
    names = columns_of(parse_condition(columns.only_when))
    readings = {name: find_reading(values[name], name, columns)[0] for name in names}
    settle = np.timedelta64(columns.settle or timedelta(0), "us")
    found = Operation(
        only_when=columns.only_when,
        settle=settle,
        wind_down=np.timedelta64(columns.wind_down or timedelta(0), "us"),
        settle_rows=_most_within(frame, settle),
        readings={name: reading for name, reading in readings.items() if reading},
    )
    return replace(found, starts=found.look(frame).after)


def _most_within(frame: Frame, settle: np.timedelta64) -> int:
    """Return the largest number of records of one entity within a time of `settle`, plus one."""
    if not settle:
        return 0
    most = 0
    for _, rows in of_entities(frame.entities, set(frame.entities)):
        times = np.sort(frame.times[rows])
        within = np.arange(len(times)) - np.searchsorted(times, times - settle)
        most = max(most, int(within.max(initial=0)))
    return min(most + 1, MOST_SETTLE_ROWS)


def at_work(frame: Frame, operation: Operation | None) -> Frame:
    """Return the records that are judged, with their periods of operation.

    Without a condition, all records are returned. Records that already have periods were judged
    before, and are kept.
    """
    if operation is None:
        return replace(frame, stretches=None)
    standing = operation.look(frame)
    judged = standing.judged
    if operation.wind_down:
        judged = judged & ~operation.winding_down(frame)
    if frame.stretches is not None:
        judged = judged | (frame.stretches >= 0)
    return replace(frame, stretches=standing.stretches).take(judged)
