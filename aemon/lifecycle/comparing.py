"""Compares the verdicts of two detectors on the same records."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.detection.judgement import Judgement
from aemon.errors import DetectorError, FrameError
from aemon.frame import Frame
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.rebuilding import find_detector
from aemon.reading.monitor_source import open_records
from aemon.reading.reader import Reader
from aemon.store.detectors import active_detector, stored_detector
from aemon.store.store import Store
from aemon.store.succession import find_trial

MOST_DIFFERING = 20  # differing records in the result: the records with the largest difference


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two compared detectors, with the number of records that it flags."""

    version: int
    state: str
    trained_at: datetime
    validation_error: float
    threshold: float
    false_alarm_rate: float
    flagged: int


@dataclass(frozen=True, kw_only=True)
class Differing:
    """A record that only one of two detectors flags.

    Attributes:
        first: exceedance by the first detector.
        second: exceedance by the second detector.
    """

    record_key: str
    entity: str
    event_time: datetime
    first: float
    second: float


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The comparison of two detectors on the newest judged records.

    Attributes:
        records: number of compared records.
        rank_correlation: Spearman's rank correlation between the scores of both detectors.
        trial: state or outcome of the first detector's trial; empty without a trial.
        differing: records that only one of the two detectors flags, largest difference first.
    """

    records: int
    first: Side
    second: Side
    flagged_by_both: int
    rank_correlation: float
    trial: str
    differing: tuple[Differing, ...]


def compare_detectors(
    name: str,
    settings: MonitorSettings,
    store: Store,
    clock: Clock,
    versions: tuple[int, int | None],
    records: int,
) -> Compared:
    """Judge the newest judged records with two detectors, and return the comparison.

    The results are not stored. The second item of `versions` may be None: the active detector.

    Raises:
        DetectorError: a detector or its weights do not exist, or no records were judged.
        FrameError: the records no longer have all columns of a detector's training.
        AemonError: the source or the store fails.
    """
    version, other = versions
    if other is None:
        active = active_detector(store, name)
        if active is None:
            raise DetectorError(f"{name} has no active detector", todo="name the other version")
        other = active.version
    if other == version:
        raise DetectorError(
            f"{name}: detector {version} would be compared with itself",
            todo="name two versions; `aemon detectors list` shows all versions",
        )
    rows = [find_detector(store, name, each) for each in (version, other)]
    frame = _newest(name, settings, store, clock, records)
    judged = [_judge(store, name, row, frame) for row in rows]
    flagged = [each.anomalous for each in judged]
    differing = np.flatnonzero(flagged[0] != flagged[1])
    # The exceedance of an idle record is NaN.
    exceedances = [np.nan_to_num(each.exceedances, nan=0.0) for each in judged]
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.abs(np.log(exceedances[0][differing] / exceedances[1][differing]))
    ranks = [pd.Series(each.scores).rank() for each in judged]
    correlation = float(ranks[0].corr(ranks[1])) if len(frame) > 1 else float("nan")
    return Compared(
        records=len(frame),
        first=_side(rows[0], flagged[0]),
        second=_side(rows[1], flagged[1]),
        flagged_by_both=int((flagged[0] & flagged[1]).sum()),
        rank_correlation=correlation,
        trial=_trial(store, rows[0]),
        differing=tuple(
            Differing(
                record_key=frame.keys[row],
                entity=frame.entities[row],
                event_time=frame.aware_time(row),
                first=float(exceedances[0][row]),
                second=float(exceedances[1][row]),
            )
            for row in differing[np.argsort(-gaps)][:MOST_DIFFERING].tolist()
        ),
    )


def _newest(
    name: str, settings: MonitorSettings, store: Store, clock: Clock, records: int
) -> Frame:
    source = open_records(name, settings, store, clock)
    try:
        frame = Reader(source).newest(store.mark(name).watermark, records).frame
    finally:
        source.close()
    if not len(frame):
        raise DetectorError(f"{name} has judged no records yet", todo="wait for the next run")
    return frame


def _judge(store: Store, name: str, row: dict[str, Any], frame: Frame) -> Judgement:
    if row["artifact_sha256"] is None:
        raise DetectorError(
            f"{name}: the weights of detector {row['version']} were removed by retention",
            todo="`aemon detectors rebuild` trains it again; or compare with a newer detector",
        )
    try:
        return load(store, stored_detector(row)).detector.judge(frame)
    except FrameError as error:
        raise FrameError(f"detector {row['version']}: {error.message}", todo=error.todo) from error


def _side(row: dict[str, Any], flagged: Any) -> Side:
    names = ("version", "state", "trained_at", "validation_error", "threshold", "false_alarm_rate")
    return Side(**{name: row[name] for name in names}, flagged=int(flagged.sum()))


def _trial(store: Store, row: dict[str, Any]) -> str:
    trial = find_trial(store, row["id"])
    if trial is None:
        return ""
    return (
        f"{trial.records} records on trial: {trial.flagged} flagged, {trial.flagged_by_active} by "
        f"the active detector, {trial.flagged_by_both} by both; {row['state_reason']}"
    )
