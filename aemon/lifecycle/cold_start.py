"""How many records the first detector waits for: a rule of columns, unless a number is given."""

from collections.abc import Iterable

from aemon.config.column_settings import ColumnSettings
from aemon.config.schema import MonitorSettings
from aemon.detection.thresholds.threshold import records_to_show
from aemon.errors import FrameError
from aemon.frame import Frame, Roles
from aemon.reading.reader import Read, Reader
from aemon.records import Job, Outcome
from aemon.sources.source import Replayable
from aemon.store.detectors import StoredDetector
from aemon.store.ledger import last_run
from aemon.store.queries import MonitorOverview
from aemon.store.store import Store
from aemon.times.number_times import lie_in_1970

RECORDS_A_COLUMN = 30
"""Fewer, and what one column has to do with another is mostly chance."""

RECORDS_AN_ENTITY = 20
"""Fewer, and nobody knows what is usual for it."""

FIRST_TRAINING = ": the first training comes next"
"""Told of a cold start that has its records."""

LEAST_WANTED, MOST_WANTED = 200, 5_000
"""Fewer records draw no line; for more, nobody waits. The detector grows with what comes."""


def needed_records(settings: MonitorSettings, source: Replayable) -> int:
    """How many records end a cold start: `min_records`, or else 30 for every judged column.

    Raises:
        AemonError: the source cannot be read.
    """
    if settings.min_records is not None:
        return settings.min_records
    reader = Reader(source)
    names = [str(name) for name in source.fetch(None, 1).table]
    wanted = needed_for(len(judged_columns(names, source.roles, settings.columns)), settings)
    if source.roles.entity is None:
        return wanted
    return needed_for_entities(reader.after(None, wanted).frame, wanted, settings)


def first_limit(settings: MonitorSettings, wanted: int) -> int:
    """How many records the first detector learns from at most, where it begins at the first one.

    All there are, unless a number is configured: what they do not show would be flagged later.
    """
    return settings.max_training_records if settings.min_records is None else wanted


def needed_for_entities(frame: Frame, wanted: int, settings: MonitorSettings) -> int:
    """How many records end a cold start, by the entities there are among those that came.

    They share what is learned: 200 records of 40 entities are five each.
    """
    if settings.min_records is not None:
        return wanted
    entities = len(set(frame.entities))
    most = min(MOST_WANTED, settings.max_training_records)
    return max(wanted, min(RECORDS_AN_ENTITY * entities, most)) if entities > 1 else wanted


def needed_for(columns: int, settings: MonitorSettings) -> int:
    """The rule, for a number of judged columns."""
    if settings.min_records is not None:
        return settings.min_records
    wanted = min(max(LEAST_WANTED, RECORDS_A_COLUMN * columns), MOST_WANTED)
    return min(wanted, settings.max_training_records)


def judged_columns(names: list[str], roles: Roles, settings: ColumnSettings) -> list[str]:
    """Those that may be judged, by name; what is in them may exclude some more."""
    apart = {roles.time, roles.key, roles.entity, *settings.exclude}
    chosen = settings.include if settings.include is not None else names
    return [name for name in chosen if name in names and name not in apart]


def check_times(read: Read) -> None:
    """Refuse first records whose times nobody can have meant.

    Raises:
        FrameError: they are numbers that would all be seconds of the year 1970.
    """
    if read.roles.time_format is None and len(read.frame) and lie_in_1970(read.column, read.times):
        example = read.column.dropna().iloc[0]
        raise FrameError(
            f"{read.roles.time} {example} would be {read.frame.times[0]}: times in 1970 are nobody's",
            todo="set time_format: unix if it does count the seconds since 1970, or another one",
        )


def first_training(store: Store, monitor: str) -> str:
    """Return what a cold start with enough records waits for, as its sentence goes on.

    `FIRST_TRAINING`, or how the last one ended if that was badly.
    """
    with store.reading() as connection:
        last = last_run(connection, monitor, Job.TRAIN)
    if last is None or last.outcome not in {Outcome.FAILED, Outcome.TIMED_OUT}:
        return FIRST_TRAINING
    return f", and the last training {last.outcome}: {last.reason}"


def is_provisional(stored: StoredDetector) -> bool:
    """Whether a line was drawn from too few records to show its promise.

    A rate that not even `MOST_WANTED` records can show is a fitted tail's, and stays so.
    """
    return _falls_short(stored.calibration_records, stored.false_alarm_rate)


def provisional_ones(known: Iterable[MonitorOverview]) -> frozenset[str]:
    """The monitors whose active detector has such a line."""
    return frozenset(
        one.name
        for one in known
        if one.calibration_records is not None
        and one.false_alarm_rate is not None
        and _falls_short(one.calibration_records, one.false_alarm_rate)
    )


def _falls_short(records: int, rate: float) -> bool:
    return records + 1 < min(records_to_show(rate), MOST_WANTED)
