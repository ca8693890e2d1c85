"""Anomalies planted in copies of normal records, to compare settings without labels.

The plantings were tested on eight public tables with labels. Of the nine kinds of detector, the
kind that separates planted anomalies best has a mean AUROC of 0.89 for labelled anomalies, as good
as `auto`. Without the plantings `mirror` and `mix`, the AUROC was 0.86: shifted, swapped and moved
records do not represent anomalies in regions without records.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask
from aemon.detection.features.feature_map import FeatureMap

SHIFTS = (0.3, 2.0)
"""Least and largest shift of a number, in spreads; the shift is up or down."""

STRETCHES = (1.1, 2.0)
"""Least and largest factor by which `move` increases the distance of a record from the mean."""

SHIFTED_SHARE, SWAPPED_SHARE = 0.25, 0.5
"""Largest share of the judged columns that is shifted or swapped; at least one column changes."""


class Records(NamedTuple):
    """N records as features (N, F), 0 where missing, and the mask of observed cells (N, F)."""

    features: Floats
    mask: Mask


Planting = Callable[[FeatureMap, Records, np.random.Generator], Records]


def swap(feature_map: FeatureMap, records: Records, rng: np.random.Generator) -> Records:
    """Replace some columns of each record by values of another record.

    So usual values occur in unusual combinations. Missing cells are copied, too.
    """
    return _taken(records, _touched(feature_map, len(records.features), SWAPPED_SHARE, rng), rng)


def shift(feature_map: FeatureMap, records: Records, rng: np.random.Generator) -> Records:
    """Change a few columns of each record: shift numbers, replace booleans and categories."""
    touched = _touched(feature_map, len(records.features), SHIFTED_SHARE, rng)
    numbers = _numbers(feature_map)
    features, mask = _taken(records, touched & ~numbers, rng)
    size = rng.uniform(*SHIFTS, features.shape) * rng.choice([-1.0, 1.0], features.shape)
    features += (size * (touched & numbers & mask)).astype(np.float32)
    return Records(features, mask)


def move(feature_map: FeatureMap, records: Records, rng: np.random.Generator) -> Records:
    """Move all numbers of each record away from the mean, by a factor from `STRETCHES`."""
    sizes = rng.uniform(*STRETCHES, (len(records.features), 1))
    factors = np.where(_numbers(feature_map), sizes, 1.0).astype(np.float32)
    features: Floats = records.features * factors
    return Records(features, records.mask)


def mirror(feature_map: FeatureMap, records: Records, rng: np.random.Generator) -> Records:  # noqa: ARG001
    """Mirror each record at the mean.

    The distance from the mean does not change, but few normal records are near the mirrored record.
    """
    signs = np.where(_numbers(feature_map), -1, 1).astype(np.float32)
    features: Floats = records.features * signs
    return Records(features, records.mask)


def mix(feature_map: FeatureMap, records: Records, rng: np.random.Generator) -> Records:
    """Move the numbers of each record halfway to another record, between usual values."""
    others = _others(len(records.features), rng)
    touched = _numbers(feature_map) & records.mask & records.mask[others]
    halfway = (records.features + records.features[others]) / 2
    features: Floats = np.where(touched, halfway, records.features).astype(np.float32)
    return Records(features, records.mask)


def plantings(feature_map: FeatureMap) -> dict[str, Planting]:
    """Return name -> planting, for the plantings that are possible with these columns.

    A single column does not depend on other columns. Only numbers can move away from a mean.
    """
    found: dict[str, Planting] = {"shifted": shift}
    if len(feature_map.judged) > 1:
        found["swapped"] = swap
    numbers = int(_numbers(feature_map).sum())
    if numbers:
        found["moved"] = move
    if numbers > 1:
        found |= {"mirrored": mirror, "mixed": mix}
    return found


def _numbers(feature_map: FeatureMap) -> npt.NDArray[np.bool_]:
    """Return a mask (F,) of the features that are judged and are numbers."""
    numbers = np.zeros(len(feature_map), dtype=bool)
    for name, place in feature_map.judged:
        if name in feature_map.scaled and name not in feature_map.booleans:
            numbers[place] = True
    return numbers


def _touched(
    feature_map: FeatureMap, records: int, share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return a mask (N, F) of the cells to change: random judged columns of each record."""
    columns = len(feature_map.judged)
    counts = rng.integers(1, max(1, round(share * columns)) + 1, (records, 1))
    chosen = rng.random((records, columns)).argsort(axis=1) < counts
    touched = np.zeros((records, len(feature_map)), dtype=bool)
    for column, (_, place) in enumerate(feature_map.judged):
        touched[:, place] = chosen[:, column : column + 1]
    return touched


def _taken(records: Records, touched: npt.NDArray[np.bool_], rng: np.random.Generator) -> Records:
    """Replace the touched cells of each record by the cells of another record."""
    others = _others(len(records.features), rng)
    return Records(
        np.where(touched, records.features[others], records.features),
        np.where(touched, records.mask[others], records.mask),
    )


def _others(records: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return for each record the row (N,) of a different record."""
    order = rng.permutation(records)
    others = np.empty(records, dtype=np.intp)
    others[order] = np.roll(order, 1)
    return others
