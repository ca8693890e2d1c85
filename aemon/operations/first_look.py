"""A first look at a source: its first records, and whether a detector could learn from them."""

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
from aemon.reading.reader import LOOK_BACK, Read, Reader, arrived_frame
from aemon.reading.unreadable import Unreadable
from aemon.sources.host.settings import HostSource
from aemon.sources.source import Arrived, Replayable
from aemon.sources.source_kinds import check_apart, is_stream, open_replayable, open_stream

LIVE_RECORDS = 2
"""Two records of a live source show that its values come, and that they change."""

LEAST_STEPS, FALLING_SHARE = 20, 0.9
"""From one record to the next: so many, of which such a share goes back in time."""

LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 3.0, 15.0
_AT_ONCE = 10_000
PAUSES_WAITED = 2.5  # a rate takes two samples, so that the first record comes after one pause


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstLook:
    """What the first records of a source show.

    Attributes:
        source: the source in a few words.
        frame: the records looked at.
        columns: what each column is taken for; empty without records.
        warnings: what a person should know, a sentence each.
        refusal: why nothing could be learned from these records, where that is so.
    """

    source: str
    frame: Frame
    columns: tuple[ColumnReport, ...]
    warnings: tuple[str, ...]
    refusal: AemonError | None


def look(settings: MonitorSettings) -> FirstLook:
    """Read the first records of a source the way the daemon would.

    Raises:
        AemonError: the source cannot be read, or does not hold what the configuration names.
    """
    first = _first_arrivals(settings) if is_stream(settings.source) else _first_records(settings)
    frame = first.frame
    state = _state(first, settings) if len(frame) else None
    columns: tuple[ColumnReport, ...] = ()
    if len(frame):
        judged = frame if state is None or not len(state.working) else state.working
        columns = describe_columns(judged, settings.columns)
        check_quiet(settings.quiet, list(named_columns(frame.values).columns))
    refusal = first.refusal or (state.refusal if state is not None else None)
    if refusal is None and first.enough:
        refusal = _refusal(first.learned_from, settings)
    return FirstLook(
        source=first.described,
        frame=frame,
        columns=columns,
        warnings=(*first.warnings, *((state.summary,) if state is not None else ())),
        refusal=refusal,
    )


class _State(NamedTuple):
    """What the first records show of the operating state that counts."""

    working: Frame  # those that would be judged
    summary: str
    refusal: AemonError | None


def _state(first: "_First", settings: MonitorSettings) -> _State | None:
    """Hold the first records against `columns.only_when`; None without one.

    Raises:
        FrameError: a column of the condition is not there, or can be read in two ways.
    """
    frame = first.learned_from
    operation = fit_operation(frame, settings.columns)
    if operation is None:
        return None
    working, open_ones = at_work(frame, operation), int(operation.answer(frame.values).open.sum())
    told = (
        f"{len(working)} of {len(frame)} records ({len(working) / len(frame):.0%}) are judged and "
        f"teach: those for which {operation.summary}"
    )
    if open_ones:
        told += f"; {open_ones} lack a cell that it asks for, and are not judged"
    refusal: AemonError | None = None
    if first.enough and not len(working):
        refusal = FrameError(
            f"columns.only_when: `{operation.only_when}` holds for none of {len(frame)} records",
            todo=f"change it: {'; '.join(operation.seen(frame.values))}",
        )
    return _State(working=working, summary=told, refusal=refusal)


@dataclass(frozen=True, kw_only=True, eq=False)
class _First:
    """What was read of a source.

    Attributes:
        described: the source in a few words.
        frame: its first records.
        learned_from: the records that a first detector would learn from.
        enough: whether there are as many as that takes.
        warnings: what a person should know of the reading.
        refusal: why none of the records can be judged, where that is so.
    """

    described: str
    frame: Frame
    learned_from: Frame
    enough: bool
    warnings: list[str]
    refusal: AemonError | None = None


def _first_records(settings: MonitorSettings) -> _First:
    """Read the first records of a source that is replayable."""
    with closing(open_replayable(settings.source, clock=utc_now)) as source:
        wanted = needed_records(settings, source)
        check_apart(source)
        reader = Reader(source)
        read = reader.after(None, first_limit(settings, wanted))
        check_times(read)
        frame = learned_from = read.frame
        if settings.start == "now":
            learned_from = reader.newest(None, settings.max_training_records).frame
        described = source.describe()
        order = _order_told(source, settings, read)
    seen = Unreadable()
    seen.add(read)
    warnings: list[str] = []
    if len(frame):
        warnings += [f"records rejected: {told}" for told in seen.summary]
    warnings += seen.warnings
    if read.waiting:
        warnings.append(
            f"{read.waiting} records wait: their time is unreadable or more than a year ahead"
        )
    warnings += order
    there = read.fetched
    refusal: AemonError | None = seen.refusal()
    if there >= wanted:
        refusal = refusal or unusable(there, frame)
    if refusal is not None:
        warnings = []  # they are part of it
    elif there == 0:
        warnings.append("no records yet: aemon will collect them")
    elif there < wanted:
        warnings.append(
            f"{there} of {wanted} records are there: what a column is taken for may still change"
        )
    elif (short := _shorter_than_rhythms(learned_from)) is not None:
        warnings.append(short)
    return _First(
        described=described,
        frame=frame,
        learned_from=learned_from,
        enough=there >= wanted,
        warnings=warnings,
        refusal=refusal,
    )


def _order_told(source: Replayable, settings: MonitorSettings, read: Read) -> list[str]:
    """Return what to say of the order in which records come."""
    told = []
    if settings.lateness is None and source.hides(read.watermark):
        told.append(
            "keys do not tell which records are new: those that come in more than "
            f"{format_duration(LOOK_BACK)} behind the newest are not found; lateness looks longer"
        )
    if source.in_order_of_arrival and _newest_first(read.times):
        told.append(
            "the newest records stand first, and new ones are looked for behind the last: where they "
            "come before the first, name the column that identifies a record, key: NAME"
        )
    return told


def _newest_first(times: Times) -> bool:
    """Return whether records (N,) stand in the order of falling times, but for a few."""
    steps = np.diff(times[~np.isnat(times)]).astype(np.int64)
    return len(steps) >= LEAST_STEPS and bool(
        (steps <= 0).mean() >= FALLING_SHARE > (steps == 0).mean()
    )


def _shorter_than_rhythms(frame: Frame) -> str | None:
    """What to say of records that do not cover two days; None where they do."""
    if not len(frame):
        return None
    first, last = (
        frame.aware_time(int(place)) for place in (frame.times.argmin(), frame.times.argmax())
    )
    if not is_young(first, last):
        return None
    until = first + WHOLE_RHYTHMS
    return (
        f"the {len(frame)} records to learn from cover {format_duration(_in_minutes(last - first))}: what "
        f"a day brings is known from {until:%Y-%m-%d %H:%M} UTC on, and more may be flagged until then"
    )


def _in_minutes(span: timedelta) -> timedelta:
    return timedelta(minutes=max(1, round(span / timedelta(minutes=1))))


def _first_arrivals(settings: MonitorSettings) -> _First:
    """Take what a stream says while a person may be kept waiting."""
    patience = LEAST_WAIT_SECONDS
    each = "a live source"
    if isinstance(settings.source, HostSource):
        pause = settings.source.sample_every
        patience = max(patience, PAUSES_WAITED * pause.total_seconds())
        each = f"a live source with a record every {format_duration(pause)}"
    began = time.monotonic()
    deadline = began + min(patience, MOST_WAIT_SECONDS)
    with closing(open_stream(settings.source, clock=utc_now)) as stream:
        first = stream.take(_AT_ONCE)
        table = first.table
        while len(table) < LIVE_RECORDS and time.monotonic() < deadline:
            time.sleep(0.1)
            arrived = stream.take(_AT_ONCE).table
            if len(arrived):
                table = pd.concat([table, arrived], ignore_index=True) if len(table) else arrived
            if first.finish_before is not None:
                table = _joined(table, stream.roles)
        described, roles = stream.describe(), stream.roles
    came, waited = len(table), time.monotonic() - began
    records = f"{came or 'no'} record{'' if came == 1 else 's'} came in {waited:.1f} s"
    frame = arrived_frame(Arrived(table=table, more=False), roles)
    names = judged_columns([str(name) for name in table], roles, settings.columns)
    return _First(
        described=described,
        frame=frame,
        learned_from=frame,
        enough=came >= needed_for(len(names), settings),
        warnings=[f"{each}: {records}; what a column is taken for may still change"],
    )


def _joined(parts: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Return parts of records as records, as far as they have come."""
    names = [name for name in (roles.entity, roles.key) if name is not None]
    return parts.groupby(names, sort=False, as_index=False).last() if len(parts) else parts


def _refusal(frame: Frame, settings: MonitorSettings) -> AemonError | None:
    """Why training on these records would be refused, as far as that shows before it."""
    if len(frame) < LEAST_RECORDS:
        return None
    try:
        frame = at_work(frame, fit_operation(frame, settings.columns))
        false_alarm_rate_for(settings.threshold, frame.times)
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
