"""Counters: columns that only rise, or only fall, and so leave every range that is learned."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Values

LEAST_MOVES = 20
"""Moves in one direction: by chance all of them agree once in half a million columns."""

PARTS = 4
"""In each such part of the training there must be moves: one step, or one slope, is no counter."""

LEAST_MOVES_OF_A_PART = 3

LEAST_RECORDS = 50
"""In fewer records any slope may be a part of a rhythm."""

LEAST_EVENTS = 5
"""Moves of a slow counter, all by one: a state that goes on and on is none."""

MOST_RESETS = 3
"""Moves against the direction: a meter that was replaced. What falls back more often is a level
that returns, and can be learned."""

MOVES_PER_RESET = 30


def is_counter(numbers: Values, entities: Texts) -> str:
    """Return in which direction a column goes throughout, "rises" or "falls"; empty if in none.

    Args:
        numbers: (N,) in the order of time, NaN where missing.
        entities: (N,) what each record belongs to: each counts for itself.
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
    """Return whether whole numbers go up by one now and then, and never otherwise."""
    there = numbers[~np.isnan(numbers)]
    if (there != np.rint(there)).any():
        return False
    moves = [np.diff(own) for own in each_alone(numbers, entities)]
    whole = np.concatenate(moves)
    if (whole[whole != 0] != 1).any() or whole.sum() < LEAST_EVENTS:
        return False
    halves = [half.any() for own in moves for half in np.array_split(own, 2)]
    return any(halves[::2]) and any(halves[1::2])


def each_alone(numbers: Values, entities: Texts) -> Iterator[Values]:
    """The numbers of each entity (n,), in their order, without those that are missing."""
    there = ~np.isnan(numbers)
    codes, found = pd.factorize(entities[there])
    if len(found) <= 1:
        yield numbers[there]
        return
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))[:-1]
    yield from np.split(numbers[there][order], ends)
