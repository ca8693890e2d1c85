"""Counters: columns that only rise, or only fall, and so leave every learned range."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Values

LEAST_MOVES = 20
"""Least number of moves in one direction. By chance, 20 moves all agree once in half a million
columns."""

PARTS = 4
"""Parts of the training that must each contain moves; one step or one slope is not a counter."""

LEAST_MOVES_OF_A_PART = 3

LEAST_RECORDS = 50
"""With fewer records, any slope may be a part of a season."""

LEAST_EVENTS = 5
"""Least number of moves of a slow counter, each by one; a column with fewer moves is a state."""

MOST_RESETS = 3
"""Most moves against the direction, such as a replaced meter. A column that falls back more often
is a level that returns, and can be learned."""

MOVES_PER_RESET = 30
"""Least number of moves in the direction for each move against it."""


def is_counter(numbers: Values, entities: Texts) -> str:
    """Return the constant direction of a column, "rises" or "falls"; empty if it has none.

    Args:
        numbers: (N,) in the order of time, NaN where missing.
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
    """Return whether whole numbers rise by one now and then, and do not move in any other way."""
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
    """Yield the numbers of each entity (n,) in their order, without missing ones."""
    present = ~np.isnan(numbers)
    codes, found = pd.factorize(entities[present])
    if len(found) <= 1:
        yield numbers[present]
        return
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))[:-1]
    yield from np.split(numbers[present][order], ends)
