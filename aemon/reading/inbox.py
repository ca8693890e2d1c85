"""The inbox of a monitor, which stores the records of a stream: a stream cannot be read twice."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from aemon.errors import AemonError, RefusedError
from aemon.frame import Roles, identify
from aemon.logs import Action, log
from aemon.reading.inbox_writer import InboxWriter
from aemon.reading.open_buckets import OpenBuckets
from aemon.reading.plain_records import as_text, plain_records
from aemon.sources.source import Arrived, Stream
from aemon.store.inbox.kept_records import NOTHING_BESIDE, Beside, Kept, keep_history
from aemon.store.inbox.rejected_records import Rejected
from aemon.store.inbox.stream_notes import notes_of
from aemon.store.store import Row, Store

LOST, REFUSED = "lost", "refused"
RECORDS_AT_ONCE = 10_000  # largest number of records that are taken and written at once
EXCESS_SHARE = 0.01
"""The oldest records are dropped when the number of records exceeds `keep` by this share, because
dropping records is slow."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """Records that were taken from the stream and are not yet in the store, in order of arrival."""

    rows: list[Row]
    rejected: list[Rejected]
    note: str | None = None
    finish_before: datetime | None = None
    done: Callable[[], None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there are no records, no rejected records and no notes to write."""
        return not self.rows and self.beside == NOTHING_BESIDE

    @property
    def beside(self) -> Beside:
        """The rejected records and the stream's note, written in the same transaction as `rows`."""
        return Beside(
            rejected=tuple(self.rejected), note=self.note, finish_before=self.finish_before
        )


class Inbox:
    """The inbox of a stream, which writes arriving records to the store for the scoring runs.

    While the store fails, the records that were taken from the stream wait in the inbox. Later
    records wait in the memory of the stream, which is limited. Records that the stream must drop
    are counted and logged.

    Args:
        open_stream: a function that opens the stream; called when the stream is first needed.
        store: the store that keeps the records.
        monitor: name of the monitor.
        keep: how many of the newest records to keep.
        buckets: the open buckets, if the stream delivers readings; None if it delivers records.
    """

    def __init__(
        self,
        open_stream: Callable[[], Stream],
        store: Store,
        monitor: str,
        keep: int,
        buckets: OpenBuckets | None = None,
    ) -> None:
        self._open_stream = open_stream
        self._store = store
        self._monitor = monitor
        self._keep = keep
        self._buckets = buckets
        self._finish_before: datetime | None = None
        self._stream: Stream | None = None
        self._closed = False
        self._unwritten: deque[_Piece] = deque()
        self._excess = keep  # number of records written since old records were dropped last
        self._rejected: Counter[str] = Counter()
        self._writing = threading.Lock()
        self._counting = threading.Lock()
        self._writer = InboxWriter(monitor, self.write_arrived, self._finish)

    def listen(self) -> None:
        """Start a thread that writes records when they arrive, until the inbox is closed."""
        self._writer.start()

    def write_arrived(self) -> int:
        """Write all arrived records to the store; return how many records are new in the store.

        Raises:
            AemonError: the stream or the store failed. The next call writes the records that were
                already taken from the stream.
        """
        with self._writing:
            written = self._write_unwritten()
            if self._stream is None and not self._closed:
                stream = self._open_stream()
                stream.resume(notes_of(self._store, self._monitor), self._writer.wake)
                self._stream = stream
            more = self._stream is not None
            while more and self._stream is not None:
                more = self._take(self._stream)
                written += self._write_unwritten()
            if self._buckets is not None and self._stream is not None:
                written += self._close_buckets(self._buckets)
        return written

    def take_rejected(self) -> dict[str, int]:
        """Return reason -> number of records that were not kept since the last call."""
        with self._counting:
            rejected, self._rejected = self._rejected, Counter()
        return dict(rejected)

    def ask_to_end(self) -> None:
        """Ask the thread to write a last time and to close the stream; do not wait for the end."""
        self._writer.ask_to_end()

    def wait(self, seconds: float) -> None:
        """Wait at most this many seconds for the thread to end, after `ask_to_end`."""
        self._writer.wait(seconds)

    def close(self, wait_seconds: float = 1.0) -> None:
        """Write a last time and close the stream; wait at most `wait_seconds` for the thread."""
        self._writer.ask_to_end()
        if not self._writer.wait(wait_seconds):
            self._finish()

    def _take(self, stream: Stream) -> bool:
        """Take arrived records from the stream; return whether the stream has more records."""
        arrived = stream.take(RECORDS_AT_ONCE)
        self._finish_before = arrived.finish_before
        if arrived.lost:
            self._lose(arrived.lost, "they were not written in time, and memory is limited")
        try:
            self._unwritten.append(_sorted(arrived, stream.roles))
        except Exception as error:  # a fault of the stream or of this code
            self._lose(len(arrived.table), str(error) or repr(error))
            raise
        return arrived.more

    def _write_unwritten(self) -> int:
        written = 0
        while self._unwritten:
            piece = self._unwritten[0]
            if piece.is_empty:
                self._finish_first()
                continue
            try:
                new = self._write(piece)
            except RefusedError:
                if not piece.rows:
                    raise
                self._split_piece(piece)
                continue
            if piece.done is not None:
                self._store.make_durable()  # before the sender deletes its records
            self._finish_first()
            written += new
        return written

    def _write(self, piece: _Piece) -> int:
        """Write a piece in one transaction; return how many records are new in the store."""
        if self._buckets is not None:
            kept = self._buckets.keep(piece.rows, piece.beside)
            self._count_rejected(kept)
            return 0
        keep = self._due_keep()
        return self._count_kept(
            keep_history(self._store, self._monitor, piece.rows, keep, piece.beside), keep
        )

    def _close_buckets(self, buckets: OpenBuckets) -> int:
        """Make the records of all buckets that can be closed; return how many records are new."""
        made = 0
        while True:
            keep = self._due_keep()
            kept = buckets.close_over(self._finish_before, keep)
            if kept is None:
                return made
            made += self._count_kept(kept, keep)

    def _due_keep(self) -> int | None:
        """Return how many records to keep if the oldest should be dropped now; otherwise None."""
        return self._keep if self._excess >= EXCESS_SHARE * self._keep else None

    def _count_kept(self, kept: Kept, keep: int | None) -> int:
        self._excess = kept.new + (0 if keep is not None else self._excess)
        self._count_rejected(kept)
        return kept.new

    def _count_rejected(self, kept: Kept) -> None:
        with self._counting:
            self._rejected.update(kept.rejected)

    def _finish_first(self) -> None:
        done = self._unwritten.popleft().done
        if done is not None:
            done()

    def _split_piece(self, piece: _Piece) -> None:
        """Split records that the database refuses into halves; reject a single refused record."""
        rows, half = piece.rows, len(piece.rows) // 2
        if half:
            parts = [
                replace(piece, rows=some, rejected=[], note=None, done=None)
                for some in (rows[:half], rows[half:])
            ]
        else:
            parts = []
            piece.rejected.append(Rejected(reason=REFUSED, record=as_text(rows[0]["record"])))
        self._unwritten.popleft()
        self._unwritten.extendleft(reversed([*parts, replace(piece, rows=[])]))

    def _finish(self) -> None:
        """Write arrived records, close the stream, and write the records that arrived meanwhile.

        Records that cannot be written are lost, unless the sender of the stream has kept them.
        """
        if self._stream is not None:
            with suppress(AemonError):
                self.write_arrived()  # an open stream can still acknowledge the records
        with self._writing:
            self._closed = True
            if self._stream is not None:
                self._stream.close()
        try:
            self.write_arrived()
        except AemonError as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        with self._writing:
            left = sum(len(piece.rows) for piece in self._unwritten if piece.done is None)
            self._unwritten.clear()
            more = self._stream is not None
            with suppress(AemonError):
                while more and self._stream is not None:
                    arrived = self._stream.take(RECORDS_AT_ONCE)
                    left += arrived.lost + (len(arrived.table) if arrived.done is None else 0)
                    more = arrived.more
        if left:
            self._lose(left, reason)

    def _lose(self, records: int, reason: str) -> None:
        with self._counting:
            self._rejected[LOST] += records
        log(
            logger,
            logging.ERROR,
            Action.INBOX_LOST,
            reason,
            monitor=self._monitor,
            records=records,
        )


def _sorted(arrived: Arrived, roles: Roles) -> _Piece:
    """Split the arrived records into readable and rejected records.

    Raises:
        FrameError: the table does not have the column of a role, or has two such columns.
    """
    piece = _Piece(
        rows=[],
        rejected=[Rejected(reason=item.reason, record=item.text) for item in arrived.set_aside],
        note=arrived.note,
        finish_before=arrived.finish_before,
        done=arrived.done,
    )
    table = arrived.table
    if not len(table):
        return piece
    found = identify(table, roles)
    readable = ~np.logical_or.reduce(list(found.unreadable.values()))
    rows: list[Row] = [
        {
            "entity": entity,
            "record_key": key,
            "event_time": time.replace(tzinfo=UTC),
            "record": record,
        }
        for entity, key, time, record in zip(
            found.entities[readable].tolist(),
            found.keys[readable].tolist(),
            found.times[readable].tolist(),
            plain_records(found.values.loc[readable]),
            strict=True,
        )
    ]
    rejected = [
        Rejected(reason=reason, record=as_text(record))
        for reason, which in found.unreadable.items()
        for record in plain_records(table.loc[which])
    ]
    return replace(piece, rows=rows, rejected=[*piece.rejected, *rejected])
