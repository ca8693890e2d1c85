"""Angles: 359 degrees and 1 degree are neighbours, so a direction is judged by sine and cosine."""

import numpy as np

from aemon.detection.arrays import Texts, Values
from aemon.detection.features.counters import each_alone

TURN = 360.0

LOWS = (0.0, -180.0)
"""Where a turn may begin."""

NEAR = 30.0
"""Degrees from an end of the turn that count as near it."""

LEAST_SHARE = 0.005
"""Of the cells that must lie near either end."""

LEAST_VALUES = 20
"""Different values: fewer are states."""

SMOOTHER = 0.6
"""Round the circle the column moves at most this much of what it moves in numbers. Independent
values that fill the turn come to 0.75."""

LEAST_RECORDS = 50


def least_angle(numbers: Values, entities: Texts) -> float | None:
    """Return where the turn begins if a column is plainly an angle in degrees; None if not.

    It stays within a turn, comes near both ends, and steps across.

    Args:
        numbers: (N,) in the order of time, NaN where missing.
        entities: (N,) what each record belongs to: each steps for itself.
    """
    there = numbers[~np.isnan(numbers)]
    if len(there) < LEAST_RECORDS or len(np.unique(there)) < LEAST_VALUES:
        return None
    for low in LOWS:
        high = low + TURN
        if there.min() < low or there.max() > high:
            continue
        ends = (there <= low + NEAR).mean(), (there >= high - NEAR).mean()
        steps = np.abs(np.concatenate([np.diff(own) for own in each_alone(numbers, entities)]))
        around = np.minimum(steps, TURN - steps)
        if min(ends) >= LEAST_SHARE and around.sum() <= SMOOTHER * steps.sum():
            return low
    return None


def as_circle(degrees: Values) -> Values:
    """Sine and cosine (..., 2) of angles (...)."""
    radians = np.deg2rad(degrees)
    return np.stack([np.sin(radians), np.cos(radians)], axis=-1)


def as_degrees(sines: Values, cosines: Values, low: float) -> Values:
    """Angles (N,) of sines and cosines, from `low` on."""
    degrees: Values = (np.rad2deg(np.arctan2(sines, cosines)) - low) % TURN + low
    return degrees
