"""Review of records before the watermark: late and corrected records, or all known records."""

import time
from datetime import datetime

import numpy as np

from aemon.frame import Frame, flags, join_frames, naive_utc, rows_of
from aemon.monitoring.context_rows import newest_of_each, with_context_rows
from aemon.monitoring.judging import Judge
from aemon.monitoring.lateness import looked_for_since, older_than_settled
from aemon.monitoring.verdict_rows import record_hashes
from aemon.reading.reader import Reader
from aemon.records import Identity, Watermark
from aemon.store.known_records import Known, known_records
from aemon.store.store import Mark, StaleWatermarkError
from aemon.store.verdicts import settle

SHARE_OF_TIME = 0.1
"""Largest share of the running time that reviews for late records may take."""

TURNS = 20
"""Number of attempts to judge one chunk again while a daemon moves the watermark."""


class Review:
    """The reviews of one monitor's records from the mark `settled` up to the watermark.

    Every review begins at `settled`: older records are no longer looked for. At the end of a
    review, `settled` moves up to the newest record that is older than the watermark by more than
    the lateness. So a record that appears within its lateness is found by the next review.
    """

    def __init__(self) -> None:
        self._next_at = 0.0  # monotonic
        self._restart()
        self._doubled: set[Identity] = set()

    def _restart(self) -> None:
        # State of a review that ran out of time and continues in a later run:
        self._reached: Watermark | None = None
        self._settles_until: datetime | None = None  # event time up to which `settled` may move
        self._settled: Watermark | None = None  # the newest record read up to that time
        self._moved_back: set[Identity] = set()

    def due(self, judge: Judge) -> bool:
        """Return whether it is time for the next review."""
        return judge.reviewed and time.monotonic() >= self._next_at

    def look(self, reader: Reader, judge: Judge, mark: Mark, enough: float) -> Mark:
        """Judge new and corrected records before the watermark; return the new mark.

        Args:
            reader: reads the records.
            judge: judge with the active detector.
            mark: the monitor's watermark.
            enough: monotonic time after which a later run continues the review.
        """
        if mark.watermark is None or mark.watermark.event_time is None:
            return mark
        if mark.settled is None:  # a version without reviews stored the mark: reviews begin here
            return settle(judge.store, judge.monitor, mark, mark.watermark, 1.0)
        began = time.monotonic()
        if self._settles_until is None:
            # Records that arrive during the review, within the lateness, are newer than this time.
            self._settles_until = looked_for_since(mark.watermark.event_time, judge.settings)
        position, more = self._reached or mark.settled, True
        self._reached = None
        while more:
            read = reader.after(position, judge.settings.chunk_records)
            frame = _until(read.frame, mark.watermark)
            mark = self._judge_news(frame.take(~older_than_settled(frame, mark)), judge, mark)
            if read.watermark is None or read.watermark == position:
                break
            settled = reader.watermark_behind(position, read, self._settles_until)
            self._settled = settled or self._settled
            more = read.more and _before(read.watermark, mark.watermark)
            position = read.watermark
            if more and time.monotonic() > enough:
                self._reached = position
                break
        self._next_at = time.monotonic() + (time.monotonic() - began) / SHARE_OF_TIME
        if self._reached is not None:
            return mark
        settled = self._settled
        self._restart()
        if settled is not None and settled != mark.settled:
            mark = settle(judge.store, judge.monitor, mark, settled, judge.settings.keep_share)
        return mark

    def _judge_news(self, frame: Frame, judge: Judge, mark: Mark) -> Mark:
        judge.stop.check()
        known = _known(judge, frame)
        hashes = record_hashes(frame.values).tolist()
        corrected = judge.settings.lateness is not None
        times = [frame.aware_time(place) for place in range(len(frame))]
        news = [
            self._is_news(identity, known.get(identity), at, digest, corrected=corrected)
            for identity, at, digest in zip(frame.identities, times, hashes, strict=True)
        ]
        rows = flags(news) & frame.to_judge
        judge.run.count(records_reviewed=int(frame.to_judge.sum() - rows.sum()))
        if not rows.any():
            return mark
        return judge.review(with_context_rows(frame, rows, judge.detector.context_rows), mark)

    def _is_news(
        self,
        identity: Identity,
        was: Known | None,
        event_time: datetime,
        record_hash: int,
        *,
        corrected: bool,
    ) -> bool:
        """Return whether a record must be judged, because it is new or was changed.

        Changed records are judged only with `corrected`, that is, if `lateness` is configured. If
        two records have the same key, only the later record is judged.
        """
        if was is None or not was.is_current:
            return True
        if identity in self._doubled and event_time < was.event_time:
            return False
        if not corrected:
            return False
        changed = was.changed(event_time, record_hash)
        if changed and event_time < was.event_time:
            self._moved_back.add(identity)
        elif changed and identity in self._moved_back:
            self._doubled.add(identity)  # two records exist, one at each time: no record was moved
        return changed


def judge_again(reader: Reader, judge: Judge, since: datetime | None) -> None:
    """Judge known records again with the active detector.

    A record gets a new revision if its detector, its threshold or its values changed. The source is
    read from its beginning; records without a verdict still get no verdict. A daemon may run at
    the same time and move the watermark: then the mark is read again, and the chunk is retried.

    Args:
        reader: reads the records.
        judge: judge with the active detector.
        since: aware event time of the first record to judge again; None for all records.

    Raises:
        StaleWatermarkError: the watermark moved during each of `TURNS` attempts.
        AemonError: the source, the records or the store fail.
    """
    position: Watermark | None = None
    before: Frame | None = None
    more = True
    while more:
        read = reader.after(position, judge.settings.chunk_records)
        frame = read.frame if before is None else join_frames(before.as_context(), read.frame)
        before = newest_of_each(frame, judge.detector.context_rows)
        known = _known(judge, frame)
        known_rows = rows_of(frame, [pair for pair, was in known.items() if was.is_current])
        known_rows &= frame.to_judge
        if since is not None:
            known_rows &= frame.times >= naive_utc(since)
        judge.stop.check()
        if known_rows.any():
            context = with_context_rows(frame, known_rows, judge.detector.context_rows)
            _judge_in_turn(context, judge)
        more = read.more and read.watermark != position
        position = read.watermark


def _judge_in_turn(frame: Frame, judge: Judge) -> None:
    for left in reversed(range(TURNS)):
        try:
            judge.review(frame, judge.store.mark(judge.monitor), again=True)
        except StaleWatermarkError:
            if not left:
                raise
        else:
            return


def _known(judge: Judge, frame: Frame) -> dict[tuple[str, str], Known]:
    with judge.store.reading() as connection:
        return known_records(connection, judge.monitor, frame.identities)


def _until(frame: Frame, watermark: Watermark) -> Frame:
    """Return the records before the record of the watermark; later records are not reviewed.

    Records with the time of the watermark are kept if they come before the watermark's record.
    """
    if watermark.event_time is None:
        return frame
    end = naive_utc(watermark.event_time)
    before = np.asarray(frame.times <= end, dtype=bool)
    own = np.flatnonzero((frame.times == end) & (np.asarray(frame.keys) == watermark.record_key))
    if len(own):
        before[own[-1] :] = False
    return frame.take(before)


def _before(position: Watermark | None, watermark: Watermark | None) -> bool:
    if position is None or watermark is None:
        return False
    if position.event_time is None or watermark.event_time is None:
        return True
    return position.event_time <= watermark.event_time
