"""Cold start: the number of records that the first training needs.

The number follows from the columns and entities, unless `min_records` is configured.
"""

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
"""Least number of records for each judged column.

With fewer records, relations between columns are mostly chance.
"""

RECORDS_AN_ENTITY = 20
"""Least number of records for each entity. Fewer records do not show the entity's usual values."""

FIRST_TRAINING = ": the first training comes next"
"""End of the sentence in the ledger about a cold start that has enough records."""

LEAST_WANTED, MOST_WANTED = 200, 5_000
"""Bounds of the number of records for the first training.

Fewer records give no threshold; more records take too long to collect.
"""


def needed_records(settings: MonitorSettings, source: Replayable) -> int:
    """Return the number of records that the first training needs.

    The number is `min_records` if this setting is given. Otherwise the training needs 30 records
    for each judged column, and at least 20 records for each entity.

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
    """Return the largest number of records of a first training that begins at the first record.

    Without `min_records`, the training uses all records up to `max_training_records`, because
    values that do not occur in the training would be flagged later.
    """
    return settings.max_training_records if settings.min_records is None else wanted


def needed_for_entities(frame: Frame, wanted: int, settings: MonitorSettings) -> int:
    """Return the number of records for the first training, raised for many entities.

    Entities share the training set: 200 records of 40 entities are only five for each entity.

    Args:
        frame: the first records.
        wanted: number of records needed, as computed from the number of columns.
        settings: settings of the monitor.
    """
    if settings.min_records is not None:
        return wanted
    entities = len(set(frame.entities))
    most = min(MOST_WANTED, settings.max_training_records)
    return max(wanted, min(RECORDS_AN_ENTITY * entities, most)) if entities > 1 else wanted


def needed_for(columns: int, settings: MonitorSettings) -> int:
    """Return the number of records for the first training, computed from the judged columns."""
    if settings.min_records is not None:
        return settings.min_records
    wanted = min(max(LEAST_WANTED, RECORDS_A_COLUMN * columns), MOST_WANTED)
    return min(wanted, settings.max_training_records)


def judged_columns(names: list[str], roles: Roles, settings: ColumnSettings) -> list[str]:
    """Return the names of the columns that may be judged.

    A column may be excluded later because of its values.
    """
    excluded = {roles.time, roles.key, roles.entity, *settings.exclude}
    chosen = settings.include if settings.include is not None else names
    return [name for name in chosen if name in names and name not in excluded]


def check_times(read: Read) -> None:
    """Check that the times of the first records are plausible.

    Raises:
        FrameError: the times are numbers that would all be seconds of the year 1970.
    """
    if read.roles.time_format is None and len(read.frame) and lie_in_1970(read.column, read.times):
        example = read.column.dropna().iloc[0]
        raise FrameError(
            f"{read.roles.time} {example} would be {read.frame.times[0]}, which is not plausible",
            todo="set time_format: unix if the numbers are seconds since 1970, or another format",
        )


def first_training(store: Store, monitor: str) -> str:
    """Return the end of the sentence about a cold start that has enough records.

    The end is `FIRST_TRAINING`, or the outcome of the last training if that training failed.
    """
    with store.reading() as connection:
        last = last_run(connection, monitor, Job.TRAIN)
    if last is None or last.outcome not in {Outcome.FAILED, Outcome.TIMED_OUT}:
        return FIRST_TRAINING
    return f", and the last training {last.outcome}: {last.reason}"


def is_provisional(stored: StoredDetector) -> bool:
    """Return whether a detector has too few calibration records to show its target rate.

    A detector with `MOST_WANTED` calibration records is not provisional. If a target rate is so low
    that these records cannot show it, the threshold always comes from a fitted tail.
    """
    return _falls_short(stored.calibration_records, stored.false_alarm_rate)


def provisional_ones(known: Iterable[MonitorOverview]) -> frozenset[str]:
    """Return the names of the monitors with a provisional active detector."""
    return frozenset(
        monitor.name
        for monitor in known
        if monitor.calibration_records is not None
        and monitor.false_alarm_rate is not None
        and _falls_short(monitor.calibration_records, monitor.false_alarm_rate)
    )


def _falls_short(records: int, rate: float) -> bool:
    return records + 1 < min(records_to_show(rate), MOST_WANTED)
