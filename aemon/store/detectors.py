"""Detectors in the store: active detectors, detectors on trial, and artifacts by hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aemon.records import DetectorState, Watermark
from aemon.store import artifacts
from aemon.store.schema.junk import rate_of, word_of
from aemon.store.schema.tables import artifacts as artifacts_table
from aemon.store.schema.tables import detectors, feedback, thresholds, watermarks
from aemon.store.store import KEYS_AT_ONCE, Mark, StaleWatermarkError, Store
from aemon.store.succession import begin_trial, set_state, take_turns


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDetector:
    """A trained detector that is not stored yet, with the values for its new rows."""

    artifact: bytes
    columns: Mapping[str, Any]  # provenance: columns of table `detectors`
    threshold: Mapping[str, Any]  # columns of table `thresholds`
    watermark: Watermark | None = None  # the first watermark, if the monitor has no watermark yet
    source: str = ""  # identity of the source of the watermark
    applied: tuple[int, ...] = ()  # ids of the feedback that the training used
    asked_by: str = ""  # the command or rule that requested the training
    on_trial: bool = False  # True to begin a trial, if the monitor has an active detector


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDetector:
    """A stored detector, with its newest threshold."""

    id: int
    monitor: str
    version: int
    threshold_id: int
    trained_at: datetime
    trained_from: datetime  # event time of the oldest training record
    trained_until: datetime  # event time of the newest training record
    training_records: int
    validation_error: float
    settings_hash: str
    state: DetectorState
    state_at: datetime
    calibration_records: int  # number of records that the threshold was computed from
    threshold: float
    false_alarm_rate: float
    artifact_sha256: str = field(repr=False)  # retention keeps artifacts of judging detectors
    lines_sha256: str | None = field(
        repr=False
    )  # hash of thresholds that were computed after the training; None if there are none


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedDetector:
    """The identity of a detector that was just stored."""

    id: int
    version: int
    threshold_id: int
    state: DetectorState


_COLUMNS: dict[str, Any] = {
    **{column.name: column for column in detectors.c},
    "threshold_id": thresholds.c.id,
    "threshold": thresholds.c.value,
    "false_alarm_rate": thresholds.c.false_alarm_rate,
    "calibration_records": thresholds.c.calibration_records,
    "lines_sha256": thresholds.c.artifact_sha256,
    "state_at": sa.func.coalesce(detectors.c.state_at, detectors.c.trained_at),
}
_JUDGING = (DetectorState.ACTIVE, DetectorState.SHADOW)


def save_detector(
    store: Store, monitor: str, new: NewDetector, *, after: int | None = None
) -> SavedDetector:
    """Store a new detector as the active detector, or put the new detector on trial.

    The detector is put on trial if `new.on_trial` is True and the monitor has an active detector.
    An earlier detector on trial is rejected, because the new detector has more training records.

    Args:
        store: the store.
        monitor: name of the monitor.
        new: the detector.
        after: the newest version that the caller knows, 0 if the caller knows no detector. If the
            store has a newer version, an error is raised. None skips this check.

    Raises:
        StaleWatermarkError: another detector was stored meanwhile; nothing was written.
        StoreError: the database fails.
    """
    now, own = store.now(), detectors.c.monitor == monitor
    with store.writing() as connection:
        take_turns(connection, monitor)
        newest = sa.select(sa.func.max(detectors.c.version)).where(own)
        version = (connection.execute(newest).scalar() or 0) + 1
        if after is not None and version != after + 1:
            raise StaleWatermarkError(
                f"{monitor}: another daemon has trained detector {version - 1}"
            )
        active_id = connection.execute(
            sa.select(detectors.c.id).where(own, detectors.c.state == DetectorState.ACTIVE)
        ).scalar()
        state = DetectorState.SHADOW if new.on_trial and active_id else DetectorState.ACTIVE
        replaced = f"detector {version} was trained"
        set_state(connection, monitor, DetectorState.SHADOW, DetectorState.REJECTED, now, replaced)
        if state is DetectorState.ACTIVE:
            set_state(
                connection, monitor, DetectorState.ACTIVE, DetectorState.RETIRED, now, replaced
            )
        place = {"monitor": monitor, "version": version, "state": state}
        detector_id, threshold_id = _write(store, connection, new, place, now)
        if state is DetectorState.SHADOW and active_id is not None:
            begin_trial(connection, detector_id, active_id, now)
        _use_feedback(connection, new.applied, detector_id)
        if new.watermark is not None:
            _set_first_watermark(store, connection, monitor, new.source, new.watermark)
    return SavedDetector(id=detector_id, version=version, threshold_id=threshold_id, state=state)


def _write(
    store: Store,
    connection: sa.Connection,
    new: NewDetector,
    place: Mapping[str, Any],
    now: datetime,
) -> tuple[int, int]:
    """Insert a detector, its artifact and its first threshold; return (detector, threshold) ids."""
    sha256 = artifacts.digest(new.artifact)
    content = {
        "sha256": sha256,
        "format_version": artifacts.FORMAT_VERSION,
        "content": new.artifact,
    }
    connection.execute(store.insert_or_ignore(artifacts_table), content)
    on_trial = place["state"] is DetectorState.SHADOW
    made = {
        **place,
        "state_at": now,
        "state_reason": "on trial" if on_trial else "judges at once",
        "trained_at": now,
        "artifact_sha256": sha256,
        "asked_by": new.asked_by,
        **new.columns,
    }
    detector_id = _inserted(connection, sa.insert(detectors).values(made))
    computed = {
        "detector_id": detector_id, "created_at": now, "reason": "training", **new.threshold,
    }  # fmt: skip
    return detector_id, _inserted(connection, sa.insert(thresholds).values(computed))


def _use_feedback(connection: sa.Connection, ids: Sequence[int], detector_id: int) -> None:
    """Store a detector's id in feedback entries that no earlier detector was trained with."""
    for start in range(0, len(ids), KEYS_AT_ONCE):
        some = feedback.c.id.in_(ids[start : start + KEYS_AT_ONCE])
        connection.execute(
            sa.update(feedback)
            .where(some, feedback.c.detector_id.is_(None))
            .values(detector_id=detector_id)
        )


def _set_first_watermark(
    store: Store, connection: sa.Connection, monitor: str, source: str, to: Watermark
) -> None:
    """Set the watermark of a monitor to `to`, if the monitor has no watermark yet."""
    has_mark = connection.execute(
        sa.select(watermarks.c.monitor).where(watermarks.c.monitor == monitor)
    ).one_or_none()
    if has_mark is None:
        store.move(connection, monitor, Mark(source=source), to, to)


def _inserted(connection: sa.Connection, insert: sa.Insert) -> int:
    key = connection.execute(insert).inserted_primary_key
    if key is None:
        raise RuntimeError("the insert of one row returned no key")
    return int(key[0])


def newest_version(store: Store, monitor: str) -> int:
    """Return the version of the newest detector of a monitor; 0 if the monitor has no detector.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.max(detectors.c.version)).where(detectors.c.monitor == monitor)
    with store.reading() as connection:
        return connection.execute(query).scalar() or 0


def newest_learning(store: Store, monitor: str) -> tuple[int, str] | None:
    """Return (id, hash of settings) of a monitor's newest detector; None without a detector.

    The state of the detector does not matter.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(detectors.c.id, detectors.c.settings_hash)
        .where(detectors.c.monitor == monitor)
        .order_by(detectors.c.version.desc())
        .limit(1)
    )
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (row.id, row.settings_hash)


def active_detector(store: Store, monitor: str) -> StoredDetector | None:
    """Return the active detector of a monitor with its newest threshold; None without a detector.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        return find_active(connection, monitor)


def judging_detectors(
    store: Store, monitor: str
) -> tuple[StoredDetector | None, StoredDetector | None]:
    """Return (active detector, detector on trial) of a monitor; None for a missing detector.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        found = find_judging(connection, monitor)
    return found.get(DetectorState.ACTIVE), found.get(DetectorState.SHADOW)


def find_active(connection: sa.Connection, monitor: str) -> StoredDetector | None:
    """Return the active detector of a monitor, like `active_detector`, on an open connection."""
    return find_judging(connection, monitor).get(DetectorState.ACTIVE)


def find_judging(connection: sa.Connection, monitor: str) -> dict[DetectorState, StoredDetector]:
    """Return state -> detector for the active detector and the detector on trial of a monitor."""
    return judging_of(connection, [monitor]).get(monitor, {})


def judging_of(
    connection: sa.Connection, monitors: Sequence[str]
) -> dict[str, dict[DetectorState, StoredDetector]]:
    """Return monitor -> state -> detector, for active detectors and detectors on trial."""
    # The query runs at every tick: the manifest, which may be long, is left out.
    names = StoredDetector.__slots__
    query = _with_threshold().with_only_columns(
        *(_COLUMNS[name].label(f"_{name}") for name in names)
    )
    found: dict[str, dict[DetectorState, StoredDetector]] = {}
    for start in range(0, len(monitors), KEYS_AT_ONCE):
        some = detectors.c.monitor.in_(monitors[start : start + KEYS_AT_ONCE])
        for row in connection.execute(query.where(some, detectors.c.state.in_(_JUDGING))):
            values = dict(zip(names, row, strict=True))
            state = values["state"] = DetectorState(values["state"])
            values["false_alarm_rate"] = rate_of(values["false_alarm_rate"])
            # The newest threshold of a detector comes first.
            found.setdefault(values["monitor"], {}).setdefault(state, StoredDetector(**values))
    return found


_CONVERTED = ("state", "state_at")


def stored_detector(row: Mapping[str, Any]) -> StoredDetector:
    """Return a row of `detector_row` or `detector_rows` as a `StoredDetector`."""
    names = (name for name in StoredDetector.__slots__ if name not in _CONVERTED)
    values = {name: row[name] for name in names}
    values["false_alarm_rate"] = rate_of(values["false_alarm_rate"])
    return StoredDetector(
        **values,
        state=word_of(DetectorState, row["state"], DetectorState.REJECTED),
        state_at=row["state_at"] or row["trained_at"],
    )


def detector_row(store: Store, monitor: str, version: int) -> dict[str, Any] | None:
    """Return all columns of a detector and its newest threshold; None without such a version.

    Raises:
        StoreError: the database fails.
    """
    query = _with_threshold().where(detectors.c.monitor == monitor, detectors.c.version == version)
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def detector_rows(store: Store, monitor: str) -> list[dict[str, Any]]:
    """Return all columns of a monitor's detectors and of their newest thresholds, oldest first.

    Raises:
        StoreError: the database fails.
    """
    query = _with_threshold().where(detectors.c.monitor == monitor)
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    newest: dict[int, dict[str, Any]] = {}
    for row in rows:  # the newest threshold of a detector comes first
        newest.setdefault(row["version"], dict(row))
    return [newest[version] for version in sorted(newest)]


def _with_threshold() -> sa.Select[Any]:
    """Return a query for detectors joined with their thresholds; newer thresholds come first."""
    return (
        sa.select(
            detectors,
            thresholds.c.id.label("threshold_id"),
            thresholds.c.value.label("threshold"),
            thresholds.c.method,
            thresholds.c.artifact_sha256.label("lines_sha256"),
            thresholds.c.false_alarm_rate,
        )
        .join(thresholds, thresholds.c.detector_id == detectors.c.id)
        .order_by(thresholds.c.id.desc())
    )


def manifest_of(store: Store, detector_id: int) -> dict[str, Any] | None:
    """Return the manifest of a detector (settings, training data); None without a manifest.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(detectors.c.manifest).where(detectors.c.id == detector_id)
    with store.reading() as connection:
        found: dict[str, Any] | None = connection.execute(query).scalar()
    return found
