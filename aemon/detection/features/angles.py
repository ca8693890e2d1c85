"""Angles: a direction is judged by sine and cosine, because 359 degrees is close to 1 degree."""

import numpy as np

from aemon.detection.arrays import Texts, Values
from aemon.detection.features.counters import each_alone

TURN = 360.0

LOWS = (0.0, -180.0)
"""Possible least angles of a full turn, in degrees."""

NEAR = 30.0
"""Largest distance, in degrees, of a value that counts as near an end of the turn."""

LEAST_SHARE = 0.005
"""Least share of the cells near each end of the turn."""

LEAST_VALUES = 20
"""Least number of different values of an angle. With fewer values, a column holds states."""

SMOOTHER = 0.6
"""Largest ratio of two sums over all steps of an angle: the sum of the steps around the circle,
divided by the sum of the steps in plain numbers. For independent values that fill the turn, the
ratio is 0.75."""

LEAST_RECORDS = 50


def least_angle(numbers: Values, entities: Texts) -> float | None:
    """Return the degrees at which the full turn begins; None if the column holds no angles.

    The values of an angle stay within one turn, come near both ends of the turn, and step from one
    end to the other.

    Args:
        numbers: (N,) numbers in the order of time, NaN where missing.
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
    """Convert sines (N,) and cosines (N,) to angles (N,), in degrees from `low` to `low` + 360."""
    degrees: Values = (np.rad2deg(np.arctan2(sines, cosines)) - low) % TURN + low
    return degrees
