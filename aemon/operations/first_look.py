"""A first look at a source: its first records, and whether a detector could learn from them."""

import time
from dataclasses import dataclass

from aemon.clock import format_duration, utc_now
from aemon.config.schema import MonitorSettings
from aemon.config.source_settings import HostSource
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.features.columns import named_columns
from aemon.detection.features.configured import check_quiet
from aemon.detection.features.feature_fitting import ColumnReport, describe_columns, fit_features
from aemon.detection.learning import LEAST_RECORDS
from aemon.detection.thresholds.threshold import false_alarm_rate_for
from aemon.errors import AemonError
from aemon.frame import Frame, check_frame
from aemon.lifecycle.cold_start import wanted_records
from aemon.sources.source import Fetched, Source
from aemon.sources.source_kinds import open_source

LIVE_RECORDS = 2
"""Two records of a live source show that its values come, and that they change."""

LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 3.0, 15.0
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
    source = open_source(settings.source, clock=utc_now)
    try:
        wanted = wanted_records(settings, source)
        fetched, warnings = _first_records(source, wanted, settings)
        frame = check_frame(fetched.table, source.roles)
        columns = describe_columns(frame, settings.columns) if len(frame) else ()
        if len(frame):
            check_quiet(settings.quiet, list(named_columns(frame.values).columns))
        learned_from = frame
        if settings.start == "now" and source.replayable:
            newest = source.newest(None, settings.max_training_records)
            learned_from = check_frame(newest.table, source.roles)
        described = source.describe()
    finally:
        source.close()
    if fetched.waiting:
        warnings.append(
            f"{fetched.waiting} records wait: their time is unreadable or more than a year ahead"
        )
    there = len(fetched.table)
    if source.replayable and there == 0:
        warnings.append("no records yet: aemon will collect them")
    elif source.replayable and there < wanted:
        warnings.append(
            f"{there} of {wanted} records are there: what a column is taken for may still change"
        )
    return FirstLook(
        source=described,
        frame=frame,
        columns=tuple(columns),
        warnings=tuple(warnings),
        refusal=_refusal(learned_from, settings) if there >= wanted else None,
    )


def _first_records(
    source: Source, wanted: int, settings: MonitorSettings
) -> tuple[Fetched, list[str]]:
    """The first records; of a live source those that come while a person may be kept waiting."""
    fetched = source.fetch(None, wanted)
    if source.replayable:
        return fetched, []
    patience = LEAST_WAIT_SECONDS
    each = "a live source"
    if isinstance(settings.source, HostSource):
        pause = settings.source.sample_every
        patience = max(patience, PAUSES_WAITED * pause.total_seconds())
        each = f"a live source with a record every {format_duration(pause)}"
    began = time.monotonic()
    deadline = began + min(patience, MOST_WAIT_SECONDS)
    while len(fetched.table) < LIVE_RECORDS and time.monotonic() < deadline:
        time.sleep(0.1)
        fetched = source.fetch(None, wanted)
    came, waited = len(fetched.table), time.monotonic() - began
    records = f"{came or 'no'} record{'' if came == 1 else 's'} came in {waited:.1f} s"
    return fetched, [f"{each}: {records}; what a column is taken for may still change"]


def _refusal(frame: Frame, settings: MonitorSettings) -> AemonError | None:
    """Why training on these records would be refused, as far as that shows before it."""
    if len(frame) < LEAST_RECORDS:
        return None
    try:
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
