"""Records that are judged again or late, beside those before them as context rows."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aemon.frame import Flags, Frame


def with_those_before(frame: Frame, rows: Flags, count: int) -> Frame:
    """Return some of N records with those before each of them, of its entity, as context rows.

    Args:
        frame: the records; its own context rows stay such.
        rows: (N,) which are to be judged.
        count: how many records before each are wanted.
    """
    rows = rows & frame.to_judge
    if not count:
        return replace(frame.take(rows), context=None)
    codes, _ = pd.factorize(frame.entities)
    order = np.lexsort((frame.times, codes))
    whose, judged = codes[order], rows[order]
    near = judged.copy()
    for lag in range(1, min(count, len(order) - 1) + 1):
        near[:-lag] |= judged[lag:] & (whose[lag:] == whose[:-lag])
    wanted = np.zeros(len(frame), dtype=bool)
    wanted[order] = near
    taken = frame.take(wanted)
    context = ~rows[wanted]
    return replace(taken, context=context if context.any() else None)


def newest_of_each(frame: Frame, count: int) -> Frame | None:
    """Return the newest records of each entity, oldest first; None if none are wanted."""
    if not count or not len(frame):
        return None
    order = np.argsort(frame.times, kind="stable")
    in_order = pd.Series(frame.entities[order])
    return frame.take(np.sort(order[in_order.groupby(in_order).tail(count).index]))
