"""The reader, which turns the records of a source into frames; no other module does this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aemon.frame import Frame, Roles, check_columns, check_frame, join_frames, naive_utc, printable
from aemon.reading.set_aside import MOST_AT_ONCE, set_aside
from aemon.reading.shown_values import examples_of
from aemon.records import Watermark
from aemon.sources.source import Arrived, Fetched, Replayable
from aemon.store.inbox.rejected_records import Rejected

if TYPE_CHECKING:
    import pandas as pd

UNREADABLE = "unreadable"  # reason for the rejection of records that the source could not read
LOOK_BACK = timedelta(minutes=5)
"""The default time to look back. If keys do not show which records are new, aemon reads records
again that are older than the watermark by at most this time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """The result of one read.

    Attributes:
        frame: the context rows, followed by the records to be judged. `frame.rejected` counts the
            records that cannot be judged, by reason.
        fetched: number of records that the source returned, including rejected records.
        watermark: the watermark after the last record; the given watermark if no record was read.
        more: whether another read would return records at once.
        waiting: number of records that the source holds back, because their event time is not
            credible.
        given_up: number of missing keys that are no longer looked for.
        incomplete: number of records that are held back, because more records of the same bucket
            of time may still arrive.
        warnings: messages about this read for a person, one sentence each.
        examples: reason -> event time and key of the first rejected record.
        column: (fetched,) event times as the source returned them, including rejected records.
        times: (fetched,) the values of `column` read as times, datetime64 in UTC.
        roles: which columns of the source hold event time, key and entity.
        set_aside: the last rejected records of each reason, with their text.
    """

    frame: Frame
    fetched: int
    watermark: Watermark | None
    more: bool
    waiting: int
    incomplete: int
    column: "pd.Series[Any]"
    times: npt.NDArray[np.datetime64]
    roles: Roles
    given_up: int = 0
    warnings: tuple[str, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)
    set_aside: tuple[Rejected, ...] = ()

    @property
    def acceptable(self) -> int:
        """The number of records of the frame that are to be judged, without context rows."""
        return int(self.frame.to_judge.sum())

    def leading(self, limit: datetime) -> int:
        """Return the number of records before the first record with an event time after a limit."""
        young = np.flatnonzero(self.times > naive_utc(limit))
        return int(young[0]) if len(young) else self.fetched


class Reader:
    """The reader of one source, which returns the records of the source as frames.

    Args:
        source: the source of the records.
        context_rows: number of records up to the watermark that are added before each frame, as
            context rows.
        complete_after: age at which a record is complete. Younger records are held back, because
            more records of the same bucket of time may still arrive. If None, no record is held
            back.
        clock: a function that returns the current time; needed with `complete_after`.
    """

    def __init__(
        self,
        source: Replayable,
        *,
        context_rows: int = 0,
        complete_after: timedelta | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        if complete_after is not None and clock is None:
            raise ValueError("a reader that holds records back needs a clock")
        self._source = source
        self._context_rows = context_rows
        self._complete_after = complete_after
        self._clock = clock

    @property
    def source(self) -> Replayable:
        """The source of the records."""
        return self._source

    def after(self, watermark: Watermark | None, limit: int) -> Read:
        """Read at most `limit` records after a watermark, oldest first.

        A watermark of None means the beginning of the source.

        Raises:
            SourceError: the source cannot be read at the moment.
            SourceConfigError: the configured table, file or query does not exist.
            FrameError: the records do not have a column for event time, key or entity.
        """
        read = self._read(self._source.fetch(watermark, limit))
        if self._complete_after is not None and self._clock is not None:
            complete = read.leading(self._clock() - self._complete_after)
            if complete < read.fetched:
                read = self._without_incomplete(read, watermark, complete)
        return self._with_context(read, watermark)

    def newest(self, until: Watermark | None, limit: int) -> Read:
        """Read the newest `limit` records up to a watermark, and return them oldest first.

        A watermark of None means the end of the source.

        Raises:
            AemonError: the same errors as in `after`.
        """
        return self._read(self._source.newest(until, limit))

    def watermark_behind(
        self, position: Watermark | None, read: Read, limit: datetime
    ) -> Watermark | None:
        """Return the watermark after the first records of a read, up to an event time.

        Args:
            position: the watermark where the read began; None for the beginning of the source.
            read: the result of the read.
            limit: the event time.

        Returns:
            The watermark before the first record with an event time after `limit`; the watermark of
            the read if no record is after `limit`; None if the first record is after `limit`.
        """
        leading = read.leading(limit)
        if leading == read.fetched:
            return read.watermark
        # Only the source can make a watermark, so the source reads only these records again.
        return self._source.fetch(position, leading).watermark if leading else None

    def _read(self, fetched: Fetched) -> Read:
        roles = self._source.roles
        times = fetched.times
        if times is None:
            check_columns(fetched.table, roles)
            times = roles.times_of(fetched.table[roles.time])
        frame = check_frame(fetched.table, roles, times)
        examples: dict[str, str] = {}
        rejected_texts: tuple[Rejected, ...] = ()
        if frame.rejected:
            examples = examples_of(fetched.table, roles, times)
            rejected_texts = set_aside(fetched.table, roles, times)
        if fetched.unreadable:
            rejected = {**frame.rejected, UNREADABLE: len(fetched.unreadable)}
            frame = replace(frame, rejected=rejected)
            examples[UNREADABLE] = fetched.unreadable[0]
            texts = fetched.unreadable[-MOST_AT_ONCE:]
            rejected_texts += tuple(
                Rejected(reason=UNREADABLE, record=printable(text)) for text in texts
            )
        return Read(
            frame=frame,
            fetched=len(fetched.table) + len(fetched.unreadable),
            watermark=fetched.watermark,
            more=fetched.more,
            waiting=fetched.waiting,
            incomplete=0,
            column=fetched.table[roles.time],
            times=times,
            roles=roles,
            given_up=fetched.given_up,
            warnings=fetched.warnings,
            examples=examples,
            set_aside=rejected_texts,
        )

    def _without_incomplete(self, read: Read, position: Watermark | None, complete: int) -> Read:
        """Return only the complete records of a read, with the watermark after the last of them.

        Args:
            read: the result of the first read.
            position: the watermark where the read began.
            complete: number of complete records at the beginning of the read.
        """
        incomplete = read.fetched - complete
        if complete:
            again = self._read(self._source.fetch(position, complete))
            return replace(again, more=False, incomplete=incomplete)
        return replace(
            read,
            frame=read.frame.take(slice(0, 0)),
            fetched=0,
            watermark=position,
            more=False,
            incomplete=incomplete,
            column=read.column.iloc[:0],
            times=read.times[:0],
            set_aside=(),
        )

    def _with_context(self, read: Read, position: Watermark | None) -> Read:
        if not self._context_rows or position is None or not len(read.frame):
            return read
        before = self._read(self._source.newest(position, self._context_rows)).frame
        if not len(before):
            return read
        frame = join_frames(before.as_context(), read.frame)
        return replace(read, frame=replace(frame, rejected=read.frame.rejected))


def arrived_frame(arrived: Arrived, roles: Roles) -> Frame:
    """Return the arrived records of a stream as a frame, for inspection, without storing them.

    Raises:
        FrameError: the records do not have a column for event time, key or entity.
    """
    return check_frame(arrived.table, roles)
