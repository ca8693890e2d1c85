"""Reading again what lies behind the watermark: for late and corrected records, or by choice."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from aemon.frame import Frame, check_frame, event_times
from aemon.records import Watermark
from aemon.service.fingerprint import record_hashes
from aemon.service.judging import Judge
from aemon.sources.source import Fetched, Source
from aemon.store.known import Known, known_records
from aemon.store.store import Mark
from aemon.store.verdicts import settle

SHARE_OF_TIME = 0.1
"""Looking for late records takes at most this share of the time, however many there are."""


class Review:
    """One monitor's looks at what came in late, from `settled` up to the watermark.

    Every look begins where no record is looked for any more. When it has come to the end, that
    place moves up to the newest record that is older than the watermark by more than lateness. So
    whatever becomes visible within its lateness is met by the next look, whenever that is.
    """

    def __init__(self) -> None:
        self._reached: Watermark | None = None  # by a look that ran out of its time
        self._next_at = 0.0  # monotonic

    def due(self, source: Source, judge: Judge) -> bool:
        """Whether it is time to look again."""
        wanted = judge.settings.lateness is not None and not source.in_order_of_arrival
        return wanted and time.monotonic() >= self._next_at

    def look(self, source: Source, judge: Judge, mark: Mark, enough: float) -> Mark:
        """Judge what is new or corrected behind the watermark; where the monitor stands then.

        Args:
            source: the records.
            judge: the detector at work.
            mark: where the monitor stands.
            enough: monotonic time at which the rest is left to the next run.
        """
        began = time.monotonic()
        position = self._reached or mark.settled
        if mark.watermark is None or mark.watermark.event_time is None:
            return mark
        if position is None:  # lateness is new: it begins here
            return settle(judge.store, judge.monitor, mark, mark.watermark, 1.0)
        line = mark.watermark.event_time - (judge.settings.lateness or timedelta(0))
        settled, more = mark.settled, True
        while more:
            fetched = source.fetch(position, judge.settings.chunk_records)
            frame = check_frame(fetched.table, source.roles)
            mark = self._judge_news(_until(frame, mark.watermark), judge, mark)
            if fetched.watermark is None or fetched.watermark == position:
                break
            settled = _settled(source, position, fetched, line) or settled
            more = fetched.more and _before(fetched.watermark, mark.watermark)
            position = fetched.watermark
            if more and time.monotonic() > enough:
                self._reached = position
                return mark
        self._reached = None
        self._next_at = time.monotonic() + (time.monotonic() - began) / SHARE_OF_TIME
        if settled is not None and settled != mark.settled:
            mark = settle(judge.store, judge.monitor, mark, settled, judge.settings.keep_share)
        return mark

    def _judge_news(self, frame: Frame, judge: Judge, mark: Mark) -> Mark:
        judge.stop.check()
        known = _known(judge, frame)
        hashes = record_hashes(frame.values).tolist()
        times = [at.replace(tzinfo=UTC) for at in frame.times.tolist()]
        news = np.zeros(len(frame), dtype=bool)
        for place, identity in enumerate(zip(frame.entities, frame.keys, strict=True)):
            was = known.get(identity)
            news[place] = was is None or was.changed(times[place], hashes[place])
        judge.tally.records_reviewed += int((~news).sum())
        return judge.review(frame.take(news), mark) if news.any() else mark


def judge_again(source: Source, judge: Judge, mark: Mark, since: datetime | None) -> Mark:
    """Judge known records again with the detector in use; where the monitor stands then.

    A record gets a new revision if its detector, its line or its values are others now. The
    source is read from its beginning; what has no verdict gets none.
    """
    position: Watermark | None = None
    more = mark.watermark is not None
    while more:
        fetched = source.fetch(position, judge.settings.chunk_records)
        frame = _until(check_frame(fetched.table, source.roles), mark.watermark, also_equal=True)
        if since is not None:
            frame = frame.take(
                frame.times >= np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "us")
            )
        known = _known(judge, frame)
        pairs = zip(frame.entities, frame.keys, strict=True)
        there = np.array([pair in known for pair in pairs], dtype=bool)
        judge.stop.check()
        if there.any():
            mark = judge.review(frame.take(there), mark, again=True)
        more = fetched.more and _before(fetched.watermark, mark.watermark)
        position = fetched.watermark
    return mark


def _known(judge: Judge, frame: Frame) -> dict[tuple[str, str], Known]:
    identities = list(zip(frame.entities.tolist(), frame.keys.tolist(), strict=True))
    with judge.store.reading() as connection:
        return known_records(connection, judge.monitor, identities)


def _until(frame: Frame, watermark: Watermark | None, *, also_equal: bool = False) -> Frame:
    """The records older than the watermark: what comes after it is for reading, not reviewing.

    One of the same time may lie on either side. A late one is met once the watermark moved on.
    """
    if watermark is None or watermark.event_time is None:
        return frame
    at = np.datetime64(watermark.event_time.replace(tzinfo=None), "us")
    older: npt.NDArray[np.bool_] = frame.times <= at if also_equal else frame.times < at
    return frame if older.all() else frame.take(older)


def _before(position: Watermark | None, watermark: Watermark | None) -> bool:
    if position is None or watermark is None:
        return False
    if position.event_time is None or watermark.event_time is None:
        return True
    return position.event_time <= watermark.event_time


def _settled(
    source: Source, position: Watermark, fetched: Fetched, line: datetime
) -> Watermark | None:
    """The watermark behind the leading records that are older than a line; None without any."""
    at = np.datetime64(line.replace(tzinfo=None), "us")
    times = event_times(fetched.table[source.roles.time], source.roles.timezone)
    young = np.flatnonzero(times > at)
    if not len(young):
        return fetched.watermark
    # Only a source can tell the watermark behind a record: it is asked for just these.
    return source.fetch(position, int(young[0])).watermark if young[0] else None
