"""Reading again what lies behind the watermark: for late and corrected records, or by choice."""

import time
from datetime import datetime

import numpy as np

from aemon.frame import Frame, flags, join_frames, naive_utc, rows_of
from aemon.monitoring.judging import Judge
from aemon.monitoring.lateness import looked_for_since, older_than_settled
from aemon.monitoring.those_before import newest_of_each, with_those_before
from aemon.monitoring.verdict_rows import record_hashes
from aemon.reading.reader import Reader
from aemon.records import Identity, Watermark
from aemon.store.known_records import Known, known_records
from aemon.store.store import Mark, StaleWatermarkError
from aemon.store.verdicts import settle

SHARE_OF_TIME = 0.1
"""Looking for late records takes at most this share of the time, however many there are."""


TURNS = 20
"""A daemon that moves the watermark meanwhile is given way to so often, for one chunk."""


class Review:
    """One monitor's looks at what came in late, from `settled` up to the watermark.

    Every look begins where no record is looked for any more. When it has come to the end, that
    place moves up to the newest record that is older than the watermark by more than lateness. So
    whatever becomes visible within its lateness is met by the next look, whenever that is.
    """

    def __init__(self) -> None:
        self._next_at = 0.0  # monotonic
        self._restart()
        self._doubled: set[Identity] = set()

    def _restart(self) -> None:
        # Of a look that ran out of its time, and goes on in a later run:
        self._reached: Watermark | None = None
        self._line: datetime | None = None  # what it settles, as of its beginning
        self._settled: Watermark | None = None  # the newest record up to that line, so far
        self._moved_back: set[Identity] = set()

    def due(self, judge: Judge) -> bool:
        """Whether it is time to look again."""
        return judge.reviewed and time.monotonic() >= self._next_at

    def look(self, reader: Reader, judge: Judge, mark: Mark, enough: float) -> Mark:
        """Judge what is new or corrected behind the watermark; where the monitor stands then.

        Args:
            reader: reads the records.
            judge: the detector at work.
            mark: where the monitor stands.
            enough: monotonic time at which the rest is left to the next run.
        """
        if mark.watermark is None or mark.watermark.event_time is None:
            return mark
        if mark.settled is None:  # of an aemon that knew no lateness: it begins here
            return settle(judge.store, judge.monitor, mark, mark.watermark, 1.0)
        began = time.monotonic()
        if self._line is None:
            # What comes in behind a look, however long it takes, is not older than this.
            self._line = looked_for_since(mark.watermark.event_time, judge.settings)
        position, more = self._reached or mark.settled, True
        self._reached = None
        while more:
            read = reader.after(position, judge.settings.chunk_records)
            frame = _until(read.frame, mark.watermark)
            mark = self._judge_news(frame.take(~older_than_settled(frame, mark)), judge, mark)
            if read.watermark is None or read.watermark == position:
                break
            settled = reader.watermark_behind(position, read, self._line)
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
        return judge.review(with_those_before(frame, rows, judge.detector.context_rows), mark)

    def _is_news(
        self,
        identity: Identity,
        was: Known | None,
        event_time: datetime,
        record_hash: int,
        *,
        corrected: bool,
    ) -> bool:
        """Whether a record is to be judged; of two that share a key, the later in time is it.

        Those that were `corrected` are only where somebody asked for it.
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
            self._doubled.add(identity)  # it is at both times: nobody moved it
        return changed


def judge_again(reader: Reader, judge: Judge, since: datetime | None) -> None:
    """Judge known records again with the detector in use.

    A record gets a new revision if its detector, its line or its values are others now. The
    source is read from its beginning; what has no verdict gets none. A daemon may go on beside
    it: who comes second reads where the monitor stands, and tries again.
    """
    position: Watermark | None = None
    before: Frame | None = None
    more = True
    while more:
        read = reader.after(position, judge.settings.chunk_records)
        frame = read.frame if before is None else join_frames(before.as_context(), read.frame)
        before = newest_of_each(frame, judge.detector.context_rows)
        known = _known(judge, frame)
        there = rows_of(frame, [pair for pair, was in known.items() if was.is_current])
        there &= frame.to_judge
        if since is not None:
            there &= frame.times >= naive_utc(since)
        judge.stop.check()
        if there.any():
            beside = with_those_before(frame, there, judge.detector.context_rows)
            _judge_in_turn(beside, judge)
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
    """The records up to the watermark: what comes after it is for reading, not reviewing.

    Those of its own time lie before its own record.
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
