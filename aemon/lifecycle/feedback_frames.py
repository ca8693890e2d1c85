"""What people said, held against frames of records."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Mask
from aemon.frame import Frame, naive_utc
from aemon.records import FeedbackVerdict
from aemon.store.feedback import Feedback, StoredAnomaly, stored_anomalies
from aemon.store.store import Store

About = Callable[[str, str], Feedback | None]
"""What was said last of the record of an entity and a key."""


def last_words(said: Sequence[Feedback]) -> About:
    """What to ask for the last word on a record; oldest first goes in."""
    by_key: dict[str, list[Feedback]] = {}
    for one in said:
        if one.record_key is not None and one.verdict is not FeedbackVerdict.IGNORE_UNTIL:
            by_key.setdefault(one.record_key, []).append(one)

    def about(entity: str, key: str) -> Feedback | None:
        mine = [one for one in by_key.get(key, ()) if one.is_about(entity, key)]
        return mine[-1] if mine else None

    return about


def in_stretch(frame: Frame, one: Feedback) -> Mask:
    """The records that are to be ignored (N,): from one of them, or from when it was said, on."""
    begin = one.event_time or one.created_at
    if one.event_time is None and one.record_key is not None:
        named = [row for row, pair in enumerate(frame.identities) if one.is_about(*pair)]
        if named:
            begin = frame.aware_time(named[0])
    until = one.until or begin
    rows: Mask = (frame.times >= naive_utc(begin)) & (frame.times <= naive_utc(until))
    return rows if one.entity is None else rows & (frame.entities == one.entity)


def stored_records(name: str, store: Store, said: Sequence[Feedback], about: About) -> Frame:
    """The flagged records somebody spoke of, as the store keeps them."""
    keys = sorted({one.record_key for one in said if one.record_key is not None})
    kept = stored_anomalies(store, name, keys)
    return as_frame([one for one in kept if about(one.entity, one.record_key)])


def as_frame(kept: Sequence[StoredAnomaly]) -> Frame:
    """Records the store has kept, as a frame: they were judged, so the machine was at work."""
    return Frame(
        times=np.array([naive_utc(one.event_time) for one in kept], dtype="datetime64[us]"),
        keys=_texts(one.record_key for one in kept),
        entities=_texts(one.entity for one in kept),
        values=pd.DataFrame([one.observed for one in kept], index=range(len(kept))),
        stretches=np.zeros(len(kept), dtype=np.int64),
    )


def only(
    frame: Frame, about: About, verdict: FeedbackVerdict, without: Frame | None = None
) -> Frame:
    """The records of which this was said last, each once; `without` those of another frame."""
    seen = set(without.identities) if without is not None else set()
    rows = []
    for row, pair in enumerate(frame.identities):
        one = about(*pair)
        if one is not None and one.verdict is verdict and pair not in seen:
            rows.append(row)
            seen.add(pair)
    return frame.take(np.array(rows, dtype=np.intp))


def _texts(values: Iterable[str]) -> npt.NDArray[np.object_]:
    found = list(values)
    texts = np.empty(len(found), dtype=object)
    texts[:] = found
    return texts
