"""Replacement of detectors: trials, promotion, rejection, and return to an earlier detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from aemon.errors import DetectorError
from aemon.frame import printable
from aemon.records import DetectorState
from aemon.store.schema.tables import detectors, monitors, trial_verdicts, trials
from aemon.store.store import Row, StaleWatermarkError, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """The counts of a trial so far, for the detector on trial and the active detector."""

    detector_id: int
    active_id: int
    began_at: datetime
    records: int
    flagged: int
    flagged_by_active: int
    flagged_by_both: int
    critical_by_active: int
    critical_kept: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The counts that one step of a run adds to a trial, and the rows of flagged records."""

    records: int
    flagged: int
    flagged_by_active: int
    flagged_by_both: int
    critical_by_active: int
    critical_kept: int
    verdicts: Sequence[Row] = ()


COUNTS = (
    "records", "flagged", "flagged_by_active", "flagged_by_both", "critical_by_active",
    "critical_kept",
)  # fmt: skip
"""Names of the counts of a trial."""


def set_state(
    connection: sa.Connection,
    monitor: str,
    was: DetectorState,
    state: DetectorState,
    now: datetime,
    reason: str,
) -> int:
    """Move all detectors of a monitor in state `was` to `state`; return the number of detectors."""
    of_state = (detectors.c.monitor == monitor, detectors.c.state == was)
    values = {"state": state, "state_at": now, "state_reason": printable(reason)}
    return connection.execute(sa.update(detectors).where(*of_state).values(values)).rowcount


def begin_trial(connection: sa.Connection, detector_id: int, active_id: int, now: datetime) -> None:
    """Begin the trial of a detector: insert its row in `trials`, with all counts 0."""
    counts = dict.fromkeys(COUNTS, 0)
    times = {"began_at": now, "updated_at": now}
    row = {"detector_id": detector_id, "active_id": active_id, **times, **counts}
    connection.execute(sa.insert(trials).values(row))


def note_step(connection: sa.Connection, detector_id: int, step: Step, now: datetime) -> None:
    """Add the counts of a step to a trial, in the transaction that writes the verdicts."""
    values = {name: trials.c[name] + getattr(step, name) for name in COUNTS}
    own = trials.c.detector_id == detector_id
    connection.execute(sa.update(trials).where(own).values({**values, "updated_at": now}))
    if step.verdicts:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        # If only a share of the scores is kept, a record that is read again can look new, although
        # its row exists already.
        insert = dialect.insert(trial_verdicts).on_conflict_do_nothing()
        connection.execute(insert, [{"detector_id": detector_id, **row} for row in step.verdicts])


def find_trial(store: Store, detector_id: int) -> Trial | None:
    """Return the trial of a detector; None if the detector was never on trial.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(*(trials.c[name] for name in Trial.__slots__)).where(
        trials.c.detector_id == detector_id
    )
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else Trial(**row)


def differing(store: Store, detector_id: int, limit: int) -> list[Row]:
    """Return the records that only one of the two detectors of a trial flagged.

    The result has at most `limit` rows of `trial_verdicts`, newest first.
    """
    table = trial_verdicts
    differ = (table.c.exceedance > 1) != (table.c.active_exceedance > 1)
    query = (
        sa.select(table)
        .where(table.c.detector_id == detector_id, differ)
        .order_by(table.c.event_time.desc(), table.c.record_key.desc())
        .limit(limit)
    )
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def promote(
    store: Store, monitor: str, detector_id: int, reason: str, *, instead_of: int | None
) -> None:
    """Make a detector the active detector, which judges from the next run on.

    Args:
        store: the store.
        monitor: name of the monitor.
        detector_id: the detector.
        reason: why the detector becomes active, in plain words.
        instead_of: id of the active detector that is replaced; None without an active detector.

    Raises:
        StaleWatermarkError: another detector became active meanwhile, or the weights of the
            detector were removed.
        StoreError: the database fails.
    """
    now = store.now()
    own = detectors.c.monitor == monitor
    with store.writing() as connection:
        take_turns(connection, monitor)
        active = connection.execute(
            sa.select(detectors.c.id).where(own, detectors.c.state == DetectorState.ACTIVE)
        ).scalar()
        version = connection.execute(
            sa.select(detectors.c.version).where(
                own, detectors.c.id == detector_id, detectors.c.artifact_sha256.is_not(None)
            )
        ).scalar()
        if active != instead_of or version is None:
            raise StaleWatermarkError(f"{monitor}: the monitor's detectors changed meanwhile")
        replaced = f"detector {version} was made active"
        set_state(connection, monitor, DetectorState.ACTIVE, DetectorState.RETIRED, now, replaced)
        connection.execute(
            sa.update(detectors)
            .where(detectors.c.id == detector_id)
            .values(state=DetectorState.ACTIVE, state_at=now, state_reason=printable(reason))
        )
        _restart(connection, monitor, detector_id, now)


def _restart(connection: sa.Connection, monitor: str, active_id: int, now: datetime) -> None:
    """Begin a monitor's trial again, beside the new active detector; delete its earlier results."""
    on_trial = connection.execute(
        sa.select(detectors.c.id).where(
            detectors.c.monitor == monitor, detectors.c.state == DetectorState.SHADOW
        )
    ).scalar()
    if on_trial is None:
        return
    for table in (trial_verdicts, trials):
        connection.execute(sa.delete(table).where(table.c.detector_id == on_trial))
    begin_trial(connection, on_trial, active_id, now)


def reject(store: Store, monitor: str, detector_id: int, reason: str) -> None:
    """Reject a detector on trial, which ends its trial.

    Raises:
        StoreError: the database fails.
    """
    on_trial = (detectors.c.id == detector_id, detectors.c.state == DetectorState.SHADOW)
    values = {
        "state": DetectorState.REJECTED,
        "state_at": store.now(),
        "state_reason": printable(reason),
    }
    with store.writing() as connection:
        take_turns(connection, monitor)
        connection.execute(sa.update(detectors).where(*on_trial).values(values))


def version_before(store: Store, monitor: str) -> tuple[int, int]:
    """Return (id, version) of the detector that was active before the present active detector.

    Raises:
        DetectorError: no earlier detector still has its weights.
        StoreError: the database fails.
    """
    query = (
        sa.select(detectors.c.id, detectors.c.version)
        .where(
            detectors.c.monitor == monitor,
            detectors.c.state == DetectorState.RETIRED,
            detectors.c.artifact_sha256.is_not(None),
        )
        .order_by(detectors.c.state_at.desc(), detectors.c.version.desc())
        .limit(1)
    )
    with store.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise DetectorError(
            f"{monitor}: there is no earlier detector to return to",
            todo="`aemon detectors list` shows the detectors",
        )
    return int(row[0]), int(row[1])


def take_turns(connection: sa.Connection, monitor: str) -> None:
    """Lock a monitor's detectors: no other writer changes a detector until the transaction ends."""
    connection.execute(
        sa.select(monitors.c.name).where(monitors.c.name == monitor).with_for_update()
    )
