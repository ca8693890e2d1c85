"""Resolution: rounding errors of cells that are stored in coarser steps than in training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aemon.detection.arrays import Mask, Rows, Values

COARSE = 0.02
"""Least half of a rounding step, in spreads, that has an effect. A smaller half step is below the
lower bound of the usual residual (`scales.NUMERIC_FLOOR`)."""

ENDLESS = 9
"""Number of decimals that is assumed for numbers with endless decimals, such as 1/3."""

DISTINCT = 5
"""Least number of different values that show a column's step. With fewer values, the finest step of
all columns is used, because a sensor that is stuck at a round number has not become coarser."""

FIRST = 64
"""Number of records for a first, quick check. In nearly every column, these records already show
that the numbers have not become coarser."""

UNITS = (1, 5, 25)
"""Possible steps, in units of the last decimal; for example, steps of 0.1, 0.5 and 0.25."""

_EXACT = 1e-6


def half_steps(
    numbers: Values, decimals: Sequence[int], spreads: Values, units: Sequence[int] = ()
) -> Values:
    """Return half of the rounding step (K,) of each column that is coarser than in training.

    The result is 0 for all other columns.

    Args:
        numbers: (N, K) cells that were fetched together, NaN where missing.
        decimals: (K,) number of decimals in training; -1 for endless decimals.
        spreads: (K,) spread of each column in training; 0 for a constant.
        units: (K,) steps in training, see `step_of`. If a detector does not store units, the
            argument is empty, and only the number of decimals is compared.
    """
    halves = np.zeros(len(decimals))
    places = np.array([places if places >= 0 else ENDLESS for places in decimals])
    if not len(numbers) or not len(places):
        return halves
    learned = _steps(places, units)
    usable = np.flatnonzero((spreads > 0) & (places > 0))
    rounded = _rounded(numbers, usable, learned, spreads, UNITS if len(units) else UNITS[:1])
    if not len(rounded):
        return halves
    written = {
        column: _step(*step_of(cells) if len(units) else (_decimals(cells), 1))
        for column, cells in ((column, numbers[:, column]) for column in usable.tolist())
    }
    for column in rounded.tolist():
        cells, step = numbers[:, column], written[column]
        if len(np.unique(cells[~np.isnan(cells) & (cells != 0)])) < DISTINCT:
            if len(written) < 2:  # noqa: PLR2004 -- there is no column to compare with
                continue
            step = min(written.values())
        if _is_coarser(step, learned[column]) and step / 2 >= COARSE * spreads[column]:
            halves[column] = step / 2
    return halves


def _rounded(
    numbers: Values, usable: Rows, learned: Values, spreads: Values, units: Sequence[int]
) -> Rows:
    """Return the columns of which all numbers are multiples of a step coarser than in training."""
    found: Mask = np.zeros(len(usable), dtype=bool)
    least = 2 * COARSE * spreads[usable]
    for unit in units:
        digits = np.floor(np.log10(unit / least)).clip(len(str(unit)) - (unit == 1), ENDLESS)
        steps = unit * 10.0**-digits
        matters: Mask = (steps >= least) & _is_coarser(steps, learned[usable])
        scales = 10.0**digits / unit
        fits = ~_have_more(numbers[:FIRST, usable], scales)  # nearly always false for all columns
        matters = np.asarray(matters & fits, dtype=bool)
        left = np.flatnonzero(matters)
        matters[left] = _are_multiples(numbers[:, usable[left]], scales[left])
        found = np.asarray(found | matters, dtype=bool)
    return usable[found]


def are_fine(numbers: Values, decimals: Sequence[int], units: Sequence[int] = ()) -> Mask:
    """Return a mask (K,) of the columns with a step of at most ten times the step in training.

    Args:
        numbers: (N, K) cells that were fetched together, NaN where missing.
        decimals: (K,) number of decimals in training; -1 for endless decimals.
        units: (K,) steps in training, see `step_of`; empty if a detector does not store units.
    """
    learned = _steps([places if places >= 0 else ENDLESS for places in decimals], units)
    found = []
    for column, step in enumerate(learned.tolist()):
        cells = numbers[:, column]
        places, unit = step_of(cells) if len(units) else (_decimals(cells), 1)
        found.append(places >= 0 and not _is_coarser(_step(places, unit), 10 * step))
    return np.array(found, dtype=bool)


def step_of(cells: Values) -> tuple[int, int]:
    """Return the number of decimals of cells, and their step in units of the last decimal.

    >>> [step_of(np.array([number, 21.0])) for number in (20.5, 20.25, 20.3)]
    [(1, 5), (2, 25), (1, 1)]
    """
    places = _decimals(cells)
    for unit in UNITS[:0:-1] if 0 < places < ENDLESS else ():
        if (
            len(str(unit)) <= places
            and _are_multiples(cells[:, None], np.array([10.0**places / unit])).all()
        ):
            return places, unit
    return places, 1


def _step(places: int, unit: int) -> float:
    return unit * 10.0**-places if places >= 0 else np.inf  # -1: all cells are missing


def _steps(places: Sequence[int] | Rows, units: Sequence[int]) -> Values:
    known = np.array(units) if len(units) else np.ones(len(places))
    return np.asarray(known * 10.0 ** -np.asarray(places, dtype=np.float64))


def _is_coarser(step: Any, learned: Any) -> Any:
    return step > learned * (1 + _EXACT)


def _are_multiples(numbers: Values, scales: Values) -> Mask:
    """Return a mask (K,) of the columns of `numbers` (N, K) with only whole numbers after scaling.

    Each column is multiplied by its scale in `scales` (K,). Missing cells are ignored; a column
    without numbers is False.
    """
    found: Mask = ~_have_more(numbers, scales) & ~np.isnan(numbers).all(axis=0)
    return found


def _have_more(numbers: Values, scales: Values) -> Mask:
    """Return a mask (K,): True for each column of `numbers` (N, K) with decimals after scaling.

    Each column is multiplied by its scale in `scales` (K,). A column has decimals if at least one
    of its scaled numbers is not a whole number.
    """
    scaled = numbers * scales
    off = np.abs(scaled - np.rint(scaled)) > _EXACT + 4 * np.spacing(np.abs(scaled))
    found: Mask = np.asarray(off.any(axis=0), dtype=bool)
    return found


def _decimals(cells: Values) -> int:
    """Return the largest number of decimals of cells (N,); -1 if all cells are missing."""
    for places in range(ENDLESS):
        if _are_multiples(cells[:, None], np.array([10.0**places]))[0]:
            return places
    return -1 if np.isnan(cells).all() else ENDLESS
