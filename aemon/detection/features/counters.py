"""Counters: columns that only rise or only fall, and so leave the range of the training records."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Values

LEAST_MOVES = 20
"""Least number of moves of a counter, all in one direction. By chance, 20 moves have the same
direction in one of half a million columns."""

PARTS = 4
"""Number of parts of the training. A counter moves in each part; a column with a single step or a
single slope is not a counter."""

LEAST_MOVES_OF_A_PART = 3

LEAST_RECORDS = 50
"""Least number of records of a counter. With fewer records, a slope may be a part of a season."""

LEAST_EVENTS = 5
"""Least number of moves of a counter that always moves by one. A column with fewer moves is a
state."""

MOST_RESETS = 3
"""Largest number of moves against the direction of a counter, for example when a meter is replaced.
A column with more such moves returns to earlier levels, so an autoencoder can learn this column."""

MOVES_PER_RESET = 30
"""Least number of moves in the direction of a counter for each move against this direction."""


def is_counter(numbers: Values, entities: Texts) -> str:
    """Return the direction of a counter, "rises" or "falls"; empty if the column is not a counter.

    Args:
        numbers: (N,) numbers in the order of time, NaN where missing.
        entities: (N,) the entity of each record; each entity has its own counter.
    """
    if np.count_nonzero(~np.isnan(numbers)) < LEAST_RECORDS:
        return ""
    if _counts_events(numbers, entities):
        return "rises"
    ups, downs = np.zeros(PARTS, dtype=int), np.zeros(PARTS, dtype=int)
    for own in each_alone(numbers, entities):
        moves = np.diff(own)
        places = np.minimum(np.arange(len(moves)) * PARTS // max(len(moves), 1), PARTS - 1)
        ups += np.bincount(places[moves > 0], minlength=PARTS)
        downs += np.bincount(places[moves < 0], minlength=PARTS)
    for direction, along, against in (("rises", ups, downs), ("falls", downs, ups)):
        resets = int(against.sum())
        if (
            along.sum() >= max(LEAST_MOVES, MOVES_PER_RESET * resets)
            and along.min() >= LEAST_MOVES_OF_A_PART
            and resets <= MOST_RESETS
        ):
            return direction
    return ""


def _counts_events(numbers: Values, entities: Texts) -> bool:
    """Return whether a column of whole numbers moves only by +1, in both halves of the records."""
    present = numbers[~np.isnan(numbers)]
    if (present != np.rint(present)).any():
        return False
    moves = [np.diff(own) for own in each_alone(numbers, entities)]
    whole = np.concatenate(moves)
    if (whole[whole != 0] != 1).any() or whole.sum() < LEAST_EVENTS:
        return False
    halves = [half.any() for own in moves for half in np.array_split(own, 2)]
    return any(halves[::2]) and any(halves[1::2])


def each_alone(numbers: Values, entities: Texts) -> Iterator[Values]:
    """Yield the numbers (n,) of each entity in the order of time, without missing numbers."""
    present = ~np.isnan(numbers)
    codes, found = pd.factorize(entities[present])
    if len(found) <= 1:
        yield numbers[present]
        return
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))[:-1]
    yield from np.split(numbers[present][order], ends)
