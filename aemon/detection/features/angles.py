"""Angles: 359 degrees and 1 degree are neighbours, so a direction is judged by sine and cosine."""

import numpy as np

from aemon.detection.arrays import Texts, Values
from aemon.detection.features.counters import each_alone

TURN = 360.0

LOWS = (0.0, -180.0)
"""Degrees at which a turn may begin."""

NEAR = 30.0
"""Degrees from an end of the turn within which a value counts as near that end."""

LEAST_SHARE = 0.005
"""Least share of the cells near each end of the turn."""

LEAST_VALUES = 20
"""Least number of different values of an angle; a column with fewer values holds states."""

SMOOTHER = 0.6
"""Largest ratio of the movement around the circle to the movement in plain numbers. Independent
values that fill the turn have a ratio of 0.75."""

LEAST_RECORDS = 50


def least_angle(numbers: Values, entities: Texts) -> float | None:
    """Return where the turn begins if a column is plainly an angle in degrees; None if not.

    The values of an angle stay within a turn, come near both ends, and step across the ends.

    Args:
        numbers: (N,) in the order of time, NaN where missing.
        entities: (N,) the entity of each record; steps are measured within an entity.
    """
    present = numbers[~np.isnan(numbers)]
    if len(present) < LEAST_RECORDS or len(np.unique(present)) < LEAST_VALUES:
        return None
    for low in LOWS:
        high = low + TURN
        if present.min() < low or present.max() > high:
            continue
        ends = (present <= low + NEAR).mean(), (present >= high - NEAR).mean()
        steps = np.abs(np.concatenate([np.diff(own) for own in each_alone(numbers, entities)]))
        around = np.minimum(steps, TURN - steps)
        if min(ends) >= LEAST_SHARE and around.sum() <= SMOOTHER * steps.sum():
            return low
    return None


def as_circle(degrees: Values) -> Values:
    """Return sine and cosine (..., 2) of angles (...) in degrees."""
    radians = np.deg2rad(degrees)
    return np.stack([np.sin(radians), np.cos(radians)], axis=-1)


def as_degrees(sines: Values, cosines: Values, low: float) -> Values:
    """Return the angles (N,) of sines and cosines, in degrees from `low` to `low` + 360."""
    degrees: Values = (np.rad2deg(np.arctan2(sines, cosines)) - low) % TURN + low
    return degrees
