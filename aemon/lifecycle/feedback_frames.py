"""Applies feedback to frames of records."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Mask
from aemon.frame import Frame, naive_utc
from aemon.records import FeedbackVerdict
from aemon.store.feedback import Feedback, StoredAnomaly, stored_anomalies
from aemon.store.store import Store

FindFeedback = Callable[[str, str], Feedback | None]
"""Function of (entity, key) that returns the last feedback on this record, or None."""


def last_feedback(entries: Sequence[Feedback]) -> FindFeedback:
    """Return a function that finds the last feedback on a record; entries are oldest first."""
    by_key: dict[str, list[Feedback]] = {}
    for entry in entries:
        if entry.record_key is not None and entry.verdict is not FeedbackVerdict.IGNORE_UNTIL:
            by_key.setdefault(entry.record_key, []).append(entry)

    def find(entity: str, key: str) -> Feedback | None:
        own = [entry for entry in by_key.get(key, ()) if entry.is_about(entity, key)]
        return own[-1] if own else None

    return find


def in_ignored_period(frame: Frame, entry: Feedback) -> Mask:
    """Return a mask (N,) of records in the period that an `ignore_until` feedback ignores.

    The period begins at the record that the feedback names, or at the time of the feedback.
    """
    begin = entry.event_time or entry.created_at
    if entry.event_time is None and entry.record_key is not None:
        named = [row for row, pair in enumerate(frame.identities) if entry.is_about(*pair)]
        if named:
            begin = frame.aware_time(named[0])
    until = entry.until or begin
    rows: Mask = (frame.times >= naive_utc(begin)) & (frame.times <= naive_utc(until))
    return rows if entry.entity is None else rows & (frame.entities == entry.entity)


def stored_records(
    name: str, store: Store, entries: Sequence[Feedback], find: FindFeedback
) -> Frame:
    """Return the flagged records with feedback, read from the store."""
    keys = sorted({entry.record_key for entry in entries if entry.record_key is not None})
    kept = stored_anomalies(store, name, keys)
    return as_frame([anomaly for anomaly in kept if find(anomaly.entity, anomaly.record_key)])


def as_frame(kept: Sequence[StoredAnomaly]) -> Frame:
    """Return stored records as a frame in one period of operation.

    All stored records were in operation, because only records in operation are judged.
    """
    return Frame(
        times=np.array([naive_utc(each.event_time) for each in kept], dtype="datetime64[us]"),
        keys=_texts(each.record_key for each in kept),
        entities=_texts(each.entity for each in kept),
        values=pd.DataFrame([each.observed for each in kept], index=range(len(kept))),
        stretches=np.zeros(len(kept), dtype=np.int64),
    )


def only(
    frame: Frame, find: FindFeedback, verdict: FeedbackVerdict, without: Frame | None = None
) -> Frame:
    """Return the records with `verdict` as last feedback, each once.

    Args:
        frame: the records.
        find: finds the last feedback on a record.
        verdict: the verdict of the feedback.
        without: records to leave out; None for no records.
    """
    seen = set(without.identities) if without is not None else set()
    rows = []
    for row, pair in enumerate(frame.identities):
        entry = find(*pair)
        if entry is not None and entry.verdict is verdict and pair not in seen:
            rows.append(row)
            seen.add(pair)
    return frame.take(np.array(rows, dtype=np.intp))


def _texts(values: Iterable[str]) -> npt.NDArray[np.object_]:
    found = list(values)
    texts = np.empty(len(found), dtype=object)
    texts[:] = found
    return texts
