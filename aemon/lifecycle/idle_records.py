"""Finds idle records at the beginning of a history, from the time before a plant ran."""

import numpy as np
import pandas as pd

from aemon.detection.arrays import Mask
from aemon.detection.thresholds.by_entity import of_entities
from aemon.frame import Frame

LEAST_IDLE = 30
"""Least number of equal records at the beginning that show that a plant was not running."""


def idle_at_first(frame: Frame, columns: list[str]) -> Mask:
    """Return a mask (N,) of the equal records at the beginning of each entity's records.

    The records are not idle if a later record of the entity has the same values: then the values
    are a normal state of the plant.

    Args:
        frame: N records; the records of each entity are in the order of time.
        columns: columns that may be judged. A column that changes with every record, such as a row
            number, is not compared.
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
        own = codes[rows]
        own = own[:, (np.diff(own, axis=0) == 0).any(axis=0)]
        if not own.shape[1]:
            continue
        like_first = (own == own[0]).all(axis=1)
        length = len(rows) if like_first.all() else int(np.argmin(like_first))
        if LEAST_IDLE <= length < len(rows) and not like_first[length:].any():
            found[rows[:length]] = True
    return found
