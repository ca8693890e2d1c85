"""Checks for `aemon check` whether a source can be read and whether a detector can be trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from aemon.detection.features.feature_fitting import ColumnReport
from aemon.errors import AemonError
from aemon.operations.first_look import FirstLook, look
from aemon.operations.installation import Installation

FIRST_RECORDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstRecord:
    """One of the first records of a source; its values are of JSON's types."""

    time: str  # ISO 8601, in UTC
    key: str
    entity: str
    values: Mapping[str, bool | float | str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorCheck:
    """The results of reading the first records of a monitor's source.

    Attributes:
        exit_code: 0 without an error.
        error: why the source cannot be read, or no detector can be trained; None without an error.
        todo: what to do about the error; None without an error.
        source: a short description of the source. If the source cannot be read, this attribute
            and all following attributes are None.
        records_seen: number of records that were read.
        rejected: reason -> number of records that cannot be judged for this reason.
        warnings: warnings for the user, a sentence each.
        columns: the type of each column, with its reason.
        first_records: at most five records.
    """

    monitor: str
    exit_code: int
    error: str | None = None
    todo: str | None = None
    source: str | None = None
    records_seen: int | None = None
    rejected: Mapping[str, int] | None = None
    warnings: tuple[str, ...] | None = None
    columns: tuple[ColumnReport, ...] | None = None
    first_records: tuple[FirstRecord, ...] | None = None


def check_monitor(installation: Installation, monitor: str) -> MonitorCheck:
    """Read the first records of a monitor's source, and return the results.

    An error of the source is not raised: the error is part of the results.

    Raises:
        ConfigError: there is no such monitor.
    """
    name = installation.monitor(monitor)
    try:
        seen = look(installation.config.monitors[name])
    except AemonError as error:
        return MonitorCheck(
            monitor=name, exit_code=error.exit_code, error=error.message, todo=error.todo
        )
    refusal = seen.refusal
    return MonitorCheck(
        monitor=name,
        exit_code=refusal.exit_code if refusal else 0,
        error=refusal.message if refusal else None,
        todo=refusal.todo if refusal else None,
        source=seen.source,
        records_seen=len(seen.frame),
        rejected=seen.frame.rejected,
        warnings=seen.warnings,
        columns=seen.columns,
        first_records=_first_records(seen),
    )


def _first_records(seen: FirstLook) -> tuple[FirstRecord, ...]:
    frame = seen.frame
    return tuple(
        FirstRecord(
            time=f"{frame.times[row]}+00:00",
            key=frame.keys[row],
            entity=frame.entities[row],
            values={str(column): _plain(value) for column, value in frame.values.iloc[row].items()},
        )
        for row in range(min(FIRST_RECORDS, len(frame)))
    )


def _plain(value: Any) -> bool | float | str | None:
    value = value.item() if hasattr(value, "item") else value
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
