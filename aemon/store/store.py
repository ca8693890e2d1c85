"""The store: transactions on one results database, and the watermark of each monitor."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from aemon.clock import Clock
from aemon.errors import SkipError
from aemon.frame import printable
from aemon.records import Watermark
from aemon.store.engine import make_durable, reading, store_errors
from aemon.store.schema.junk import log_junk, log_missing
from aemon.store.schema.partitions import Partitions
from aemon.store.schema.tables import monitors, watermarks
from aemon.store.time_limits import time_limit

KEYS_AT_ONCE = 500  # bound values in one IN list; SQLite's oldest limit is 999

Row = dict[str, Any]


class StaleWatermarkError(SkipError):
    """Error: another writer was faster, for example another daemon that judged the same records.

    Nothing was written.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """The watermark of a monitor, its source, and the generation that a writer must know.

    Attributes:
        watermark: the position up to which the monitor has read its source; None if the monitor
            has no watermark yet.
        source: identity of the source.
        generation: number of moves of the watermark; 0 if the monitor has no watermark yet.
        settled: an earlier position, older than the watermark by the lateness. aemon no longer
            looks for records up to this position.
    """

    watermark: Watermark | None = None
    source: str = ""
    generation: int = 0
    settled: Watermark | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Commit:
    """One step of a run while its transaction is open; `Store.commit` opens the transaction.

    Either all rows that are written through `connection` are committed, or none.

    Attributes:
        store: the store.
        connection: connection of the transaction.
        monitor: name of the monitor.
        mark: the monitor's mark after this commit.
    """

    store: "Store"
    connection: sa.Connection
    monitor: str
    mark: Mark


class Store:
    """A results database with the schema of this version.

    Every function that takes a store raises `StoreError` if the database fails. The transaction of
    the function is then rolled back.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self.partitions = Partitions()
        self._clock = clock
        self._guard: Callable[[sa.Connection], None] | None = None
        self._query_seconds: float | None = None

    def now(self) -> datetime:
        """Return the present time of the store's clock."""
        return self._clock()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction, which is committed at the end and rolled back on any error."""
        with store_errors(self.engine), self.engine.begin() as connection:
            if self._guard is not None:
                self._guard(connection)
            yield connection

    def guarded(self, guard: Callable[[sa.Connection], None]) -> "Store":
        """Return a copy of this store in which each write transaction first calls `guard`."""
        other = copy(self)
        other._guard = guard  # noqa: SLF001 -- of the same class
        return other

    def limited(self, seconds: float) -> "Store":
        """Return a copy of this store that stops each query after this time.

        The queries of `reading` then raise `SlowQueryError`; transactions that write have no limit.
        """
        other = copy(self)
        other._query_seconds = seconds  # noqa: SLF001 -- of the same class
        return other

    @contextmanager
    def commit(
        self, monitor: str, mark: Mark, to: Watermark, settled: Watermark | None = None
    ) -> Iterator[Commit]:
        """Open the transaction of one step; first move the watermark, which locks its row.

        The caller writes all other rows in the same transaction: verdicts, episodes, the ledger. An
        error in the transaction rolls back all rows and the watermark. Therefore records and
        watermark stay consistent, even if aemon is killed during the step.

        Args:
            monitor: name of the monitor.
            mark: the mark that the writer knows.
            to: the watermark after these records.
            settled: position up to which aemon no longer looks for records; None keeps the position
                of `mark`.

        Raises:
            StaleWatermarkError: another writer moved the watermark first.
            StoreError: the database fails.
        """
        try:
            with self.writing() as connection:
                moved = self.move(connection, monitor, mark, to, settled)
                yield Commit(store=self, connection=connection, monitor=monitor, mark=moved)
        except BaseException:
            self.partitions.forget()  # the rollback removes partitions that the transaction created
            raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a read-only connection on one consistent view of the store."""
        with (
            store_errors(self.engine),
            reading(self.engine) as connection,
            time_limit(connection, self._query_seconds),
        ):
            yield connection

    def make_durable(self) -> None:
        """Ensure that all commits made so far survive a loss of power.

        Raises:
            StoreError: the disk fails.
        """
        make_durable(self.engine)

    def close(self) -> None:
        """Close all connections to the database."""
        self.engine.dispose()

    def add_monitors(self, names: Iterable[str]) -> None:
        """Add a row in table `monitors` for each of these monitors without a row."""
        rows = [{"name": name, "created_at": self._clock()} for name in names]
        with self.writing() as connection:
            connection.execute(self.insert_or_ignore(monitors), rows)

    def mark(self, monitor: str) -> Mark:
        """Return the mark of a monitor; its generation is 0 if the monitor has no watermark yet."""
        with self.reading() as connection:
            row = connection.execute(
                sa.select(watermarks).where(watermarks.c.monitor == monitor)
            ).one_or_none()
            known = connection.execute(
                sa.select(monitors.c.name).where(monitors.c.name == monitor)
            ).one_or_none()
        if known is None:  # a person removed the row; results of the monitor must refer to it
            log_missing(f"the row {monitor} of `monitors`")
            self.add_monitors([monitor])
        if row is None:
            return Mark()
        watermark = Watermark(
            event_time=row.event_time, record_key=row.record_key, position=row.position
        )
        return Mark(
            watermark=watermark,
            source=row.source,
            generation=row.generation,
            settled=from_json(row.settled),
        )

    def move(
        self,
        connection: sa.Connection,
        monitor: str,
        mark: Mark,
        to: Watermark,
        settled: Watermark | None = None,
    ) -> Mark:
        """Move the watermark by compare-and-set; return the new mark.

        A writer that moves the watermark locks its row until the end of the transaction. Until
        then, no other writer writes verdicts of this monitor.

        Raises:
            StaleWatermarkError: another writer moved the watermark after `mark` was read.
        """
        settled = settled or mark.settled
        values = {
            "event_time": to.event_time,
            "record_key": printable(to.record_key),
            "position": to.position,
            "source": mark.source,
            "generation": mark.generation + 1,
            "updated_at": self._clock(),
            "settled": as_json(settled),
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
        return replace(mark, watermark=to, generation=mark.generation + 1, settled=settled)

    def insert_or_ignore(self, table: sa.Table) -> Any:
        """Return an INSERT statement that skips rows whose key exists already."""
        dialect = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(table).on_conflict_do_nothing()
        # Callers need the number of new rows; SQLAlchemy keeps it only with this option.
        return insert.execution_options(preserve_rowcount=True)


def as_json(watermark: Watermark | None) -> dict[str, Any] | None:
    """Return a watermark as a value for a JSON column; None without a watermark."""
    if watermark is None:
        return None
    time = watermark.event_time
    return {
        "event_time": time.isoformat() if time else None,
        "record_key": printable(watermark.record_key),
        "position": watermark.position,
    }


def from_json(noted: dict[str, Any] | None) -> Watermark | None:
    """Return the watermark from a JSON value of `as_json`; None if the value is None or invalid."""
    if noted is None:
        return None
    try:
        time = noted["event_time"]
        return Watermark(
            event_time=datetime.fromisoformat(time).astimezone(UTC) if time else None,
            record_key=str(noted["record_key"]),
            position=str(noted["position"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        log_junk("a watermark", noted)
        return None
