"""A first look at a source: reads its first records, and checks whether training is possible."""

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from aemon.clock import format_duration, utc_now
from aemon.config.schema import MonitorSettings
from aemon.detection.arrays import Times
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.derived_columns import derive
from aemon.detection.features.columns import named_columns
from aemon.detection.features.configured import check_quiet
from aemon.detection.features.feature_fitting import ColumnReport, describe_columns, fit_features
from aemon.detection.learning import LEAST_RECORDS
from aemon.detection.operation.operation_fitting import at_work, fit_operation
from aemon.detection.thresholds.threshold import false_alarm_rate_for
from aemon.errors import AemonError, FrameError
from aemon.frame import Frame, Roles
from aemon.lifecycle.cold_start import (
    check_times,
    first_limit,
    judged_columns,
    needed_for,
    needed_records,
)
from aemon.lifecycle.policy import WHOLE_RHYTHMS, is_young
from aemon.lifecycle.training_records import unusable
from aemon.reading.open_buckets import records_for_looking
from aemon.reading.reader import LOOK_BACK, Read, Reader, arrived_frame
from aemon.reading.unreadable import Unreadable
from aemon.sources.host.settings import HostSource
from aemon.sources.readings.cell_quality import good_cells
from aemon.sources.readings.settings import ReadingsSettings
from aemon.sources.source import Arrived, Replayable
from aemon.sources.source_kinds import check_apart, is_stream, open_replayable, open_stream

LIVE_RECORDS = 2
"""How many records of a stream to wait for: two records show whether values change."""

LEAST_STEPS, FALLING_SHARE = 20, 0.9
"""Limits for records that are sorted newest first.

At least `LEAST_STEPS` steps from one record to the next are needed. In at least `FALLING_SHARE` of
the steps, the second record is older than the first record, or both records have the same time.
"""

LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 3.0, 15.0
_AT_ONCE = 10_000
PAUSES_WAITED = 2.5  # pauses to wait; a rate needs two samples, so the first pause has no record


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstLook:
    """The results of reading the first records of a source.

    Attributes:
        source: a short description of the source.
        frame: the records that were read.
        columns: the type of each column, with its reason; empty without records.
        warnings: warnings for the user, a sentence each.
        refusal: the error if no detector can be trained on these records; None without an error.
    """

    source: str
    frame: Frame
    columns: tuple[ColumnReport, ...]
    warnings: tuple[str, ...]
    refusal: AemonError | None


def look(settings: MonitorSettings) -> FirstLook:
    """Read the first records of a source as the daemon reads them, and return the results.

    Raises:
        AemonError: the source cannot be read, or lacks columns that the configuration names.
    """
    first = _first_arrivals(settings) if is_stream(settings.source) else _first_records(settings)
    frame = first.frame
    state = _state(first, settings) if len(frame) else None
    columns: tuple[ColumnReport, ...] = ()
    if len(frame):
        judged = frame if state is None or not len(state.working) else state.working
        judged, _ = derive(judged, settings.columns)
        columns = describe_columns(judged, settings.columns)
        check_quiet(settings.quiet, list(named_columns(judged.values).columns))
    refusal = first.refusal or (state.refusal if state is not None else None)
    if refusal is None and first.enough:
        refusal = _refusal(first.training_frame, settings)
    return FirstLook(
        source=first.described,
        frame=frame,
        columns=columns,
        warnings=(*first.warnings, *((state.summary,) if state is not None else ())),
        refusal=refusal,
    )


class _State(NamedTuple):
    """The first records for which the condition `columns.only_when` holds."""

    working: Frame  # the records that would be judged
    summary: str  # how many records would be judged
    refusal: AemonError | None  # if the condition holds for no record


def _state(first: "_First", settings: MonitorSettings) -> _State | None:
    """Apply `columns.only_when` to the first records; return None without this setting.

    Raises:
        FrameError: a column of the condition is missing, or its name is ambiguous.
    """
    frame = first.training_frame
    operation = fit_operation(frame, settings.columns)
    if operation is None:
        return None
    working, open_ones = at_work(frame, operation), int(operation.answer(frame.values).open.sum())
    summary = (
        f"{len(working)} of {len(frame)} records ({len(working) / len(frame):.0%}) are judged and "
        f"used for training: those for which {operation.summary}"
    )
    if open_ones:
        summary += f"; {open_ones} lack a cell that the condition needs, and are not judged"
    refusal: AemonError | None = None
    if first.enough and not len(working):
        refusal = FrameError(
            f"columns.only_when: `{operation.only_when}` holds for none of {len(frame)} records",
            todo=f"change the condition: {'; '.join(operation.seen(frame.values))}",
        )
    return _State(working=working, summary=summary, refusal=refusal)


@dataclass(frozen=True, kw_only=True, eq=False)
class _First:
    """The first records of a source.

    Attributes:
        described: a short description of the source.
        frame: the first records.
        training_frame: the records on which the first detector would be trained.
        enough: whether there are enough records for a training.
        warnings: warnings about reading the records, a sentence each.
        refusal: the error if the records cannot be used; None without an error.
    """

    described: str
    frame: Frame
    training_frame: Frame
    enough: bool
    warnings: list[str]
    refusal: AemonError | None = None


def _first_records(settings: MonitorSettings) -> _First:
    """Read the first records of a replayable source."""
    with closing(open_replayable(settings.source, clock=utc_now)) as source:
        needed = needed_records(settings, source)
        check_apart(source)
        reader = Reader(source)
        read = reader.after(None, first_limit(settings, needed))
        check_times(read)
        frame = training_frame = read.frame
        if settings.start == "now":
            training_frame = reader.newest(None, settings.max_training_records).frame
        described = source.describe()
        order = _order_warnings(source, settings, read)
    seen = Unreadable()
    seen.add(read)
    warnings: list[str] = []
    if len(frame):
        warnings += [f"records rejected: {reason}" for reason in seen.summary]
    warnings += seen.warnings
    if read.waiting:
        warnings.append(
            f"{read.waiting} records wait: their time is unreadable or more than a year ahead"
        )
    warnings += order
    count = read.fetched
    refusal: AemonError | None = seen.refusal()
    if count >= needed:
        refusal = refusal or unusable(count, frame)
    if refusal is not None:
        warnings = []  # the refusal contains the warnings
    elif count == 0:
        warnings.append("no records yet: aemon will collect them")
    elif count < needed:
        warnings.append(
            f"{count} of {needed} records so far: the types of columns may still change"
        )
    elif (short := _shorter_than_rhythms(training_frame)) is not None:
        warnings.append(short)
    return _First(
        described=described,
        frame=frame,
        training_frame=training_frame,
        enough=count >= needed,
        warnings=warnings,
        refusal=refusal,
    )


def _order_warnings(source: Replayable, settings: MonitorSettings, read: Read) -> list[str]:
    """Return warnings about the order in which records arrive."""
    warnings = []
    if settings.lateness is None and source.hides(read.watermark):
        warnings.append(
            "keys do not show which records are new: late records that are more than "
            f"{format_duration(LOOK_BACK)} older than the newest record are not found; set lateness "
            "to find them"
        )
    if source.in_order_of_arrival and _newest_first(read.times):
        warnings.append(
            "the newest records come first, but aemon looks for new records at the end: if new records "
            "are added at the top, name the column that identifies a record, key: NAME"
        )
    return warnings


def _newest_first(times: Times) -> bool:
    """Return whether records with times (N,) are sorted newest first, with few exceptions."""
    steps = np.diff(times[~np.isnat(times)]).astype(np.int64)
    return len(steps) >= LEAST_STEPS and bool(
        (steps <= 0).mean() >= FALLING_SHARE > (steps == 0).mean()
    )


def _shorter_than_rhythms(frame: Frame) -> str | None:
    """Return a warning if the records cover less than two days; else None."""
    if not len(frame):
        return None
    first, last = (
        frame.aware_time(int(place)) for place in (frame.times.argmin(), frame.times.argmax())
    )
    if not is_young(first, last):
        return None
    until = first + WHOLE_RHYTHMS
    return (
        f"the {len(frame)} training records cover {format_duration(_in_minutes(last - first))}: daily "
        f"patterns are known from {until:%Y-%m-%d %H:%M} UTC on; until then, more records may be "
        "flagged"
    )


def _in_minutes(span: timedelta) -> timedelta:
    return timedelta(minutes=max(1, round(span / timedelta(minutes=1))))


def _first_arrivals(settings: MonitorSettings) -> _First:
    """Read the first records of a stream, for at most `MOST_WAIT_SECONDS`."""
    patience = LEAST_WAIT_SECONDS
    each = "a stream"
    if isinstance(settings.source, HostSource):
        pause = settings.source.sample_every
        patience = max(patience, PAUSES_WAITED * pause.total_seconds())
        each = f"a stream with a record every {format_duration(pause)}"
    source = settings.source
    readings = source if isinstance(source, ReadingsSettings) and source.holds_readings else None
    began = time.monotonic()
    deadline = began + min(patience, MOST_WAIT_SECONDS)
    with closing(open_stream(settings.source, clock=utc_now)) as stream:
        first = stream.take(_AT_ONCE)
        table = first.table
        wanted = (
            LIVE_RECORDS if readings is None else _AT_ONCE
        )  # wait the whole time, for readings of all tags
        while len(table) < wanted and time.monotonic() < deadline:
            time.sleep(0.1)
            arrived = stream.take(_AT_ONCE).table
            if len(arrived):
                table = pd.concat([table, arrived], ignore_index=True) if len(table) else arrived
            if first.finish_before is not None and readings is None:
                table = _joined(table, stream.roles)
        described, roles = stream.describe(), stream.roles
    count, seconds = len(table), time.monotonic() - began
    word = "record" if readings is None else "reading"
    records = f"{count or 'no'} {word}{'' if count == 1 else 's'} arrived in {seconds:.1f} s"
    if readings is not None:
        table, roles = records_for_looking(readings, table, roles, utc_now())
    elif isinstance(source, ReadingsSettings) and len(table):
        table = good_cells(table, source.cell_qualities)
    count = len(table)
    frame = arrived_frame(Arrived(table=table, more=False), roles)
    names = judged_columns([str(name) for name in table], roles, settings.columns)
    return _First(
        described=described,
        frame=frame,
        training_frame=frame,
        enough=count >= needed_for(len(names), settings),
        warnings=[f"{each}: {records}; the types of columns may still change"],
    )


def _joined(parts: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Join parts of records into a table with one row for each record; parts may be missing."""
    names = [name for name in (roles.entity, roles.key) if name is not None]
    return parts.groupby(names, sort=False, as_index=False).last() if len(parts) else parts


def _refusal(frame: Frame, settings: MonitorSettings) -> AemonError | None:
    """Return the error with which training would fail; None if no error is found in advance."""
    if len(frame) < LEAST_RECORDS:
        return None
    try:
        frame = at_work(frame, fit_operation(frame, settings.columns))
        false_alarm_rate_for(settings.threshold, frame.times)
        frame, _ = derive(frame, settings.columns)
        features = fit_features(frame, settings.columns)
        kind = KINDS[settings.detector.kind]
        choose_shape(
            len(features),
            settings.detector,
            width=features.width,
            hidden=None if kind.hidden_layers else (),
            regularised=kind.regularised,
        )
    except AemonError as error:
        return error
    return None
