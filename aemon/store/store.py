"""Writing: verdicts and watermark in one transaction, runs, detectors, kept history."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from aemon.clock import Clock
from aemon.errors import SkipError
from aemon.records import DetectorState, RunReport, Watermark
from aemon.store import artifacts
from aemon.store.engine import reading, store_errors
from aemon.store.tables import (
    anomalies,
    contributions,
    detectors,
    monitors,
    runs,
    scores,
    thresholds,
    watermarks,
)
from aemon.store.tables import artifacts as artifacts_table

KEYS_AT_ONCE = 500  # bound values in one IN list; SQLite's oldest limit is 999

Row = dict[str, Any]


class StaleWatermarkError(SkipError):
    """Another daemon judged these records first; nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A monitor's watermark, of which source it is, and the generation a writer must know."""

    watermark: Watermark | None = None
    source: str = ""
    generation: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRows:
    """Rows for `scores`, and for the flagged ones `anomalies` and `contributions`."""

    scores: Sequence[Row]
    anomalies: Sequence[Row] = ()
    contributions: Sequence[Row] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDetector:
    """A trained detector as the store keeps it."""

    artifact: bytes
    columns: Mapping[str, Any]  # of `detectors`: provenance
    threshold: Mapping[str, Any]  # of `thresholds`
    watermark: Watermark | None = None  # set where the monitor has none: later records are judged
    source: str = ""  # whose watermark it is


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDetector:
    """A detector's row, with its threshold."""

    id: int
    monitor: str
    version: int
    threshold_id: int
    trained_at: datetime
    training_records: int
    validation_error: float
    settings_hash: str
    threshold: float
    false_alarm_rate: float
    artifact_sha256: str = field(repr=False)


class Store:
    """A results database of this version's schema.

    Every method raises `StoreError` if the database fails; nothing is then half-written.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, taken back on any error."""
        with store_errors(self.engine), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read-only connection on one consistent view of the store."""
        with store_errors(self.engine), reading(self.engine) as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def add_monitors(self, names: Iterable[str]) -> None:
        """Make sure every monitor has its row."""
        rows = [{"name": name, "created_at": self._clock()} for name in names]
        with self.writing() as connection:
            connection.execute(self.insert_or_ignore(monitors), rows)

    # -- how far we are

    def mark(self, monitor: str) -> Mark:
        """The monitor's watermark; generation 0 if it has none yet."""
        with self.reading() as connection:
            row = connection.execute(
                sa.select(watermarks).where(watermarks.c.monitor == monitor)
            ).one_or_none()
        if row is None:
            return Mark()
        watermark = Watermark(
            event_time=row.event_time, record_key=row.record_key, position=row.position
        )
        return Mark(watermark=watermark, source=row.source, generation=row.generation)

    def _move(self, connection: sa.Connection, monitor: str, mark: Mark, to: Watermark) -> Mark:
        """Compare and set: fails if anybody moved the watermark since `mark` was read."""
        values = {
            "event_time": to.event_time,
            "record_key": to.record_key,
            "position": to.position,
            "source": mark.source,
            "generation": mark.generation + 1,
            "updated_at": self._clock(),
        }
        if mark.generation == 0:
            statement = self.insert_or_ignore(watermarks).values(monitor=monitor, **values)
        else:
            statement = (
                sa.update(watermarks)
                .where(watermarks.c.monitor == monitor)
                .where(watermarks.c.generation == mark.generation)
                .values(**values)
            )
        if connection.execute(statement).rowcount != 1:
            raise StaleWatermarkError(f"{monitor}: another writer was first")
        return replace(mark, watermark=to, generation=mark.generation + 1)

    # -- verdicts

    def save_verdicts(
        self,
        monitor: str,
        rows: VerdictRows,
        mark: Mark,
        to: Watermark,
        before_commit: Callable[[], None] = lambda: None,
    ) -> tuple[Mark, set[tuple[str, str]]]:
        """Commit verdicts and watermark together.

        A record that has a verdict already keeps it. `before_commit` is the last word: what it
        raises takes everything back.

        Returns:
            The new mark, and (entity, record key) of the records that had been judged before.

        Raises:
            StaleWatermarkError: another writer moved the watermark first.
        """
        with self.writing() as connection:
            moved = self._move(connection, monitor, mark, to)
            known: set[tuple[str, str]] = set()
            if rows.scores:
                insert = self.insert_or_ignore(scores)
                savepoint = connection.begin_nested()
                written = connection.execute(insert, rows.scores).rowcount
                if written != len(rows.scores):
                    # Rare: the source repeated keys. Only now is it worth asking which.
                    savepoint.rollback()
                    known = self._known(connection, monitor, rows.scores)
                    fresh = _without(known, rows.scores)
                    if fresh:
                        connection.execute(sa.insert(scores), fresh)
                else:
                    savepoint.commit()
            for table, table_rows in (
                (anomalies, _without(known, rows.anomalies)),
                (contributions, _without(known, rows.contributions)),
            ):
                if table_rows:
                    connection.execute(sa.insert(table), table_rows)
            before_commit()
        return moved, known

    def _known(
        self, connection: sa.Connection, monitor: str, rows: Sequence[Row]
    ) -> set[tuple[str, str]]:
        """Which of these rows' records have a verdict already."""
        asked = {(row["entity"], row["record_key"]) for row in rows}
        known: set[tuple[str, str]] = set()
        keys = [row["record_key"] for row in rows]
        for start in range(0, len(keys), KEYS_AT_ONCE):
            query = sa.select(scores.c.entity, scores.c.record_key).where(
                scores.c.monitor == monitor,
                scores.c.record_key.in_(keys[start : start + KEYS_AT_ONCE]),
            )
            known.update((entity, key) for entity, key in connection.execute(query))
        return known & asked

    # -- the ledger

    def save_run(self, report: RunReport) -> None:
        """Write a run into the ledger."""
        with self.writing() as connection:
            connection.execute(
                sa.insert(runs),
                {
                    column.name: getattr(report, column.name)
                    for column in runs.columns
                    if column.name != "id"
                },
            )

    # -- detectors

    def save_detector(self, monitor: str, new: NewDetector) -> int:
        """Store a detector, make it the active one, and return its version."""
        sha256 = artifacts.digest(new.artifact)
        now = self._clock()
        with self.writing() as connection:
            connection.execute(
                self.insert_or_ignore(artifacts_table),
                {
                    "sha256": sha256,
                    "format_version": artifacts.FORMAT_VERSION,
                    "content": new.artifact,
                },
            )
            newest = sa.select(sa.func.max(detectors.c.version)).where(
                detectors.c.monitor == monitor
            )
            version = (connection.execute(newest).scalar() or 0) + 1
            connection.execute(
                sa.update(detectors)
                .where(detectors.c.monitor == monitor)
                .where(detectors.c.state == DetectorState.ACTIVE)
                .values(state=DetectorState.RETIRED)
            )
            made = connection.execute(
                sa.insert(detectors).values(
                    monitor=monitor,
                    version=version,
                    state=DetectorState.ACTIVE,
                    trained_at=now,
                    artifact_sha256=sha256,
                    **new.columns,
                )
            )
            detector_id = made.inserted_primary_key[0] if made.inserted_primary_key else None
            connection.execute(
                sa.insert(thresholds).values(
                    detector_id=detector_id, created_at=now, **new.threshold
                )
            )
            if new.watermark is not None:
                mark = connection.execute(
                    sa.select(watermarks.c.monitor).where(watermarks.c.monitor == monitor)
                ).one_or_none()
                if mark is None:
                    self._move(connection, monitor, Mark(source=new.source), new.watermark)
        return version

    def active_detector(self, monitor: str) -> StoredDetector | None:
        """The detector that judges for a monitor, if one has been trained."""
        with self.reading() as connection:
            return active_detector(connection, monitor)

    def artifact(self, sha256: str) -> bytes:
        """The content of an artifact."""
        query = sa.select(artifacts_table.c.content).where(artifacts_table.c.sha256 == sha256)
        with self.reading() as connection:
            return bytes(connection.execute(query).scalar_one())

    def insert_or_ignore(self, table: sa.Table) -> Any:
        """An insert that leaves rows alone whose key is there already."""
        dialect = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(table).on_conflict_do_nothing()
        # How many rows were new is asked of every such insert; SQLAlchemy forgets it otherwise.
        return insert.execution_options(preserve_rowcount=True)


def active_detector(connection: sa.Connection, monitor: str) -> StoredDetector | None:
    """The detector that judges for a monitor, with its newest threshold."""
    query = (
        sa.select(
            detectors,
            thresholds.c.id.label("threshold_id"),
            thresholds.c.value.label("threshold"),
            thresholds.c.false_alarm_rate,
        )
        .join(thresholds, thresholds.c.detector_id == detectors.c.id)
        .where(detectors.c.monitor == monitor, detectors.c.state == DetectorState.ACTIVE)
        .order_by(thresholds.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    return StoredDetector(**{name: row[name] for name in StoredDetector.__slots__})


def _without(known: set[tuple[str, str]], rows: Sequence[Row]) -> Sequence[Row]:
    if not known:
        return rows
    return [row for row in rows if (row["entity"], row["record_key"]) not in known]
