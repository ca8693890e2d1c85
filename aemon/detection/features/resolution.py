"""Resolution: how far cells may be off because they are written with fewer decimals than before."""

from collections.abc import Sequence

import numpy as np

from aemon.detection.arrays import Mask, Rows, Values

COARSE = 0.02
"""Of a spread: half a step below it hides in the least residual that is believed."""

ENDLESS = 9
"""Decimals that count for numbers without an end, such as thirds."""

DISTINCT = 5
"""Different values of a column that show its step; with fewer, all columns must be as coarse. A
sensor that stands still at a round number does not become a coarse one."""

FIRST = 64
"""Records that show of nearly every column that its numbers have more decimals."""

_EXACT = 1e-6


def half_steps(numbers: Values, decimals: Sequence[int], spreads: Values) -> Values:
    """Return half of the rounding step (K,) of columns coarser than in training; 0 for others.

    Args:
        numbers: (N, K) cells that were fetched together, NaN where missing.
        decimals: (K,) of the training; -1 for numbers without an end.
        spreads: (K,) of the training; a constant has none.
    """
    halves = np.zeros(len(decimals))
    learned = np.array([places if places >= 0 else ENDLESS for places in decimals])
    if not len(numbers) or not len(learned):
        return halves
    usable = np.flatnonzero((spreads > 0) & (learned > 0))
    coarse = np.floor(-np.log10(2 * COARSE * spreads[usable])).clip(0, ENDLESS).astype(int)
    matters = (0.5 * 10.0**-coarse >= COARSE * spreads[usable]) & (coarse < learned[usable])
    usable, coarse = usable[matters], coarse[matters]
    may_be = ~_has_more(numbers[:FIRST, usable], coarse)  # nearly always none
    usable, coarse = usable[may_be], coarse[may_be]
    rounded = _are_multiples(numbers[:, usable], coarse)
    if not rounded.any():
        return halves
    written = [_decimals(numbers[:, column]) for column in range(numbers.shape[1])]
    finer = [written[column] for column in np.flatnonzero((learned > 0) & (spreads > 0)).tolist()]
    for column in usable[rounded].tolist():
        cells = numbers[:, column]
        different = len(np.unique(cells[~np.isnan(cells) & (cells != 0)]))
        places = written[column]
        if different < DISTINCT:
            if len(finer) < 2:  # noqa: PLR2004 -- nothing to compare it with
                continue
            places = max(finer)
        half = 0.5 * 10.0**-places
        if places < learned[column] and half >= COARSE * spreads[column]:
            halves[column] = half
    return halves


def are_fine(numbers: Values, decimals: Sequence[int]) -> Mask:
    """Return which columns (K,) are written with the decimals of the training, or one fewer.

    Args:
        numbers: (N, K) cells that were fetched together, NaN where missing.
        decimals: (K,) of the training; -1 for numbers without an end.
    """
    learned = [places if places >= 0 else ENDLESS for places in decimals]
    written = [_decimals(numbers[:, column]) for column in range(len(decimals))]
    return np.array(written) >= np.array(learned) - 1


def _are_multiples(numbers: Values, places: Rows) -> Mask:
    """Which columns (K,) of (N, K) hold nothing that has more decimals than given (K,)."""
    return ~_has_more(numbers, places) & ~np.isnan(numbers).all(axis=0)


def _has_more(numbers: Values, places: Rows) -> Mask:
    """Which columns (K,) of (N, K) hold a number that has more decimals than given (K,)."""
    scaled = numbers * 10.0**places
    off = np.abs(scaled - np.rint(scaled)) > _EXACT + 4 * np.spacing(np.abs(scaled))
    found: Mask = off.any(axis=0)
    return found


def _decimals(cells: Values) -> int:
    for places in range(ENDLESS):
        if _are_multiples(cells[:, None], np.array([places]))[0]:
            return places
    return -1 if np.isnan(cells).all() else ENDLESS
