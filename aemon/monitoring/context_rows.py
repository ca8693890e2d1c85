"""Adds context rows to the records to judge: earlier records of the same entity."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aemon.frame import Flags, Frame


def with_context_rows(frame: Frame, rows: Flags, count: int) -> Frame:
    """Return the records to judge, with earlier records of the same entity as context rows.

    Args:
        frame: N records; context rows of the frame are never judged.
        rows: (N,) mask of the records to judge.
        count: number of context rows before each record to judge.
    """
    rows = rows & frame.to_judge
    if not count:
        return replace(frame.take(rows), context=None)
    codes, _ = pd.factorize(frame.entities)
    order = np.lexsort((frame.times, codes))
    entities, judged = codes[order], rows[order]
    near = judged.copy()
    for lag in range(1, min(count, len(order) - 1) + 1):
        near[:-lag] |= judged[lag:] & (entities[lag:] == entities[:-lag])
    needed = np.zeros(len(frame), dtype=bool)
    needed[order] = near
    taken = frame.take(needed)
    context = ~rows[needed]
    return replace(taken, context=context if context.any() else None)


def newest_of_each(frame: Frame, count: int) -> Frame | None:
    """Return the newest `count` records of each entity in the order of the frame.

    Return None if `count` is 0 or the frame is empty.
    """
    if not count or not len(frame):
        return None
    order = np.argsort(frame.times, kind="stable")
    in_order = pd.Series(frame.entities[order])
    return frame.take(np.sort(order[in_order.groupby(in_order).tail(count).index]))
