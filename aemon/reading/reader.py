"""The reader: it alone turns what a source returns into frames."""

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

UNREADABLE = "unreadable"  # rejected, because the source could not read it
LOOK_BACK = timedelta(minutes=5)
"""Where keys do not tell which records are new, those so much older are looked for by default."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """What one read returned.

    Attributes:
        frame: the records to be judged, behind the context rows that were asked for. Those that
            cannot be judged are counted in `frame.rejected`, by reason.
        fetched: how many records the source returned, the rejected ones included.
        watermark: everything up to the last record; the given one if there is none.
        more: another read would return records at once.
        waiting: records that the source holds back, for their time cannot be believed.
        given_up: missing keys that are no longer looked for.
        incomplete: records that are held back because their stretch of time is not over yet.
        warnings: what a person should know of this read, a sentence each.
        examples: what the first rejected record has as time and key, by reason.
        column: (fetched,) their event times as the source gave them, those of rejected records
            included; `times` as they are read.
        roles: of the source's columns.
        set_aside: rejected records, the last ones of each reason, with their text.
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
        """How many records there are to be judged: context rows are not."""
        return int(self.frame.to_judge.sum())

    def leading(self, limit: datetime) -> int:
        """Count the records before the first one that is younger than a time."""
        young = np.flatnonzero(self.times > naive_utc(limit))
        return int(young[0]) if len(young) else self.fetched


class Reader:
    """Reads frames of records from one source.

    Args:
        source: where the records are.
        context_rows: how many records up to the watermark each frame begins with, as context.
        complete_after: records are held back until they are so old, for until then others of
            their stretch of time may come; None holds nothing back.
        clock: the time, for that.
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
        """Where the records are."""
        return self._source

    def after(self, watermark: Watermark | None, limit: int) -> Read:
        """Read at most `limit` records after a watermark, oldest first; None: from the beginning.

        Raises:
            SourceError: the source cannot be read at the moment.
            SourceConfigError: what was asked for is not there.
            FrameError: the records lack a column that identifies them.
        """
        read = self._read(self._source.fetch(watermark, limit))
        if self._complete_after is not None and self._clock is not None:
            complete = read.leading(self._clock() - self._complete_after)
            if complete < read.fetched:
                read = self._without_incomplete(read, watermark, complete)
        return self._with_context(read, watermark)

    def newest(self, until: Watermark | None, limit: int) -> Read:
        """Read the newest `limit` records up to a watermark (None: up to now), oldest first.

        Raises:
            AemonError: as `after`.
        """
        return self._read(self._source.newest(until, limit))

    def watermark_behind(
        self, position: Watermark | None, read: Read, limit: datetime
    ) -> Watermark | None:
        """Return the watermark behind the leading records that are not younger than a time.

        Args:
            position: where the read began; None at the first record.
            read: what it returned.
            limit: the time.

        Returns:
            None where the first record is younger.
        """
        leading = read.leading(limit)
        if leading == read.fetched:
            return read.watermark
        # Only a source can tell the watermark behind a record: it is asked for just these.
        return self._source.fetch(position, leading).watermark if leading else None

    def _read(self, fetched: Fetched) -> Read:
        roles = self._source.roles
        times = fetched.times
        if times is None:
            check_columns(fetched.table, roles)
            times = roles.times_of(fetched.table[roles.time])
        frame = check_frame(fetched.table, roles, times)
        examples: dict[str, str] = {}
        aside: tuple[Rejected, ...] = ()
        if frame.rejected:
            examples = examples_of(fetched.table, roles, times)
            aside = set_aside(fetched.table, roles, times)
        if fetched.unreadable:
            rejected = {**frame.rejected, UNREADABLE: len(fetched.unreadable)}
            frame = replace(frame, rejected=rejected)
            examples[UNREADABLE] = fetched.unreadable[0]
            texts = fetched.unreadable[-MOST_AT_ONCE:]
            aside += tuple(Rejected(reason=UNREADABLE, record=printable(text)) for text in texts)
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
            set_aside=aside,
        )

    def _without_incomplete(self, read: Read, position: Watermark | None, complete: int) -> Read:
        """Read only the records whose stretch of time is over; the watermark stays before others.

        Args:
            read: what the source returned.
            position: where the read began.
            complete: how many of the records are complete.
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
    """Return the records that a stream handed over, for a look at them; nothing is kept.

    Raises:
        FrameError: the records lack a column that identifies them.
    """
    return check_frame(arrived.table, roles)
