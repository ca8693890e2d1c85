"""The store: transactions on one results database, and how far every monitor has read."""

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
from aemon.store.schema.junk import tell_gone, tell_junk
from aemon.store.schema.partitions import Partitions
from aemon.store.schema.tables import monitors, watermarks

KEYS_AT_ONCE = 500  # bound values in one IN list; SQLite's oldest limit is 999

Row = dict[str, Any]


class StaleWatermarkError(SkipError):
    """Another daemon judged these records first; nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A monitor's watermark, of which source it is, and the generation a writer must know.

    `settled` trails behind by lateness: no record up to there is looked for any more.
    """

    watermark: Watermark | None = None
    source: str = ""
    generation: int = 0
    settled: Watermark | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Commit:
    """One step of a run while its transaction is open. Opened by `Store.commit`.

    What is written through it is written together, or not at all.

    Attributes:
        store: where.
        connection: of the transaction.
        monitor: whose records.
        mark: where the monitor stands once this is committed.
    """

    store: "Store"
    connection: sa.Connection
    monitor: str
    mark: Mark


class Store:
    """A results database of this version's schema.

    Every function that takes one raises `StoreError` if the database fails; nothing is then
    half-written.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine = engine
        self.partitions = Partitions()
        self._clock = clock
        self._guard: Callable[[sa.Connection], None] | None = None

    def now(self) -> datetime:
        """The time by the store's clock."""
        return self._clock()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, taken back on any error."""
        with store_errors(self.engine), self.engine.begin() as connection:
            if self._guard is not None:
                self._guard(connection)
            yield connection

    def guarded(self, guard: Callable[[sa.Connection], None]) -> "Store":
        """The same store, each of whose transactions begins with a check that may forbid it."""
        other = copy(self)
        other._guard = guard  # noqa: SLF001 -- its own kind
        return other

    @contextmanager
    def commit(
        self, monitor: str, mark: Mark, to: Watermark, settled: Watermark | None = None
    ) -> Iterator[Commit]:
        """Open the one transaction of a step: it moves the watermark first, and holds it.

        All else is written within, in the order of the page: verdicts, episodes, the ledger. What
        is raised within takes everything back, the watermark included. So records and watermark
        can never part, whatever dies in between.

        Args:
            monitor: whose records.
            mark: where the writer believes the monitor stands.
            to: the watermark behind these records.
            settled: how far records need not be looked for any more; as in `mark` by default.

        Raises:
            StaleWatermarkError: another writer moved the watermark first.
            StoreError: the database fails.
        """
        try:
            with self.writing() as connection:
                moved = self.move(connection, monitor, mark, to, settled)
                yield Commit(store=self, connection=connection, monitor=monitor, mark=moved)
        except BaseException:
            self.partitions.forget()  # months that were made within it are gone with it
            raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read-only connection on one consistent view of the store."""
        with store_errors(self.engine), reading(self.engine) as connection:
            yield connection

    def make_durable(self) -> None:
        """Have all that is committed survive a loss of power.

        Raises:
            StoreError: the disk fails.
        """
        make_durable(self.engine)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def add_monitors(self, names: Iterable[str]) -> None:
        """Make sure every monitor has its row."""
        rows = [{"name": name, "created_at": self._clock()} for name in names]
        with self.writing() as connection:
            connection.execute(self.insert_or_ignore(monitors), rows)

    def mark(self, monitor: str) -> Mark:
        """The monitor's watermark; generation 0 if it has none yet."""
        with self.reading() as connection:
            row = connection.execute(
                sa.select(watermarks).where(watermarks.c.monitor == monitor)
            ).one_or_none()
            known = connection.execute(
                sa.select(monitors.c.name).where(monitors.c.name == monitor)
            ).one_or_none()
        if known is None:  # somebody removed it, and no row that names it could be written
            tell_gone(f"the row {monitor} of `monitors`")
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
        """Compare and set: the new mark, `settled` where it was unless it moves, too.

        The watermark's row is the writers' turnstile: whoever moves it holds it until the end of
        the transaction, and no other writes verdicts of this monitor before.

        Raises:
            StaleWatermarkError: somebody moved it since `mark` was read.
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
        """An insert that leaves rows alone whose key is there already."""
        dialect = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(table).on_conflict_do_nothing()
        # How many rows were new is asked of every such insert; SQLAlchemy forgets it otherwise.
        return insert.execution_options(preserve_rowcount=True)


def as_json(watermark: Watermark | None) -> dict[str, Any] | None:
    """A watermark as a JSON column holds it."""
    if watermark is None:
        return None
    time = watermark.event_time
    return {
        "event_time": time.isoformat() if time else None,
        "record_key": printable(watermark.record_key),
        "position": watermark.position,
    }


def from_json(noted: dict[str, Any] | None) -> Watermark | None:
    """The inverse of `as_json`."""
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
        tell_junk("a watermark", noted)
        return None
