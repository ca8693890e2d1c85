"""Records that say nothing yet: of a plant that was not running when its history begins."""

import numpy as np
import pandas as pd

from aemon.detection.arrays import Mask
from aemon.detection.thresholds.by_entity import of_entities
from aemon.frame import Frame

LEAST_IDLE = 30
"""Fewer records alike are no sign of a plant that was not running."""


def idle_at_first(frame: Frame, columns: list[str]) -> Mask:
    """Return which of N records lie in a stretch at the beginning in which nothing moves (N,).

    Such a stretch is left alone where a later record is like it: then it is a state of the plant,
    that comes and goes, and normal. Each entity has a beginning of its own.

    Args:
        frame: the records, each entity's in the order of time.
        columns: those that may be judged; one that rises from each record to the next, such as a
            row number, is no sign of life.
    """
    found = np.zeros(len(frame), dtype=bool)
    values = frame.values[[name for name in columns if name in frame.values]]
    if not len(frame) or not values.shape[1]:
        return found
    codes = np.column_stack(
        [pd.factorize(column.astype(object))[0] for _, column in values.items()]
    )
    for _, rows in of_entities(frame.entities, set(frame.entities)):
        if len(rows) <= LEAST_IDLE:
            continue
        mine = codes[rows]
        mine = mine[:, (np.diff(mine, axis=0) == 0).any(axis=0)]
        if not mine.shape[1]:
            continue
        like_first = (mine == mine[0]).all(axis=1)
        length = len(rows) if like_first.all() else int(np.argmin(like_first))
        if LEAST_IDLE <= length < len(rows) and not like_first[length:].any():
            found[rows[:length]] = True
    return found
