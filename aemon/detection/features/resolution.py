"""Resolution: how far cells may be off because they come in coarser steps than before."""

from collections.abc import Sequence
from typing import Any

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

UNITS = (1, 5, 25)
"""A step is so many units of the last decimal: 0.1, 0.5 or 0.25."""

_EXACT = 1e-6


def half_steps(
    numbers: Values, decimals: Sequence[int], spreads: Values, units: Sequence[int] = ()
) -> Values:
    """Return half of the rounding step (K,) of columns coarser than in training; 0 for others.

    Args:
        numbers: (N, K) cells that were fetched together, NaN where missing.
        decimals: (K,) of the training; -1 for numbers without an end.
        spreads: (K,) of the training; a constant has none.
        units: (K,) of the training, see `step_of`; empty where nobody noted them: then decimals
            alone are looked at.
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
            if len(written) < 2:  # noqa: PLR2004 -- nothing to compare it with
                continue
            step = min(written.values())
        if _is_coarser(step, learned[column]) and step / 2 >= COARSE * spreads[column]:
            halves[column] = step / 2
    return halves


def _rounded(
    numbers: Values, usable: Rows, learned: Values, spreads: Values, units: Sequence[int]
) -> Rows:
    """Return the columns whose numbers are all multiples of a step that is coarse, and coarser."""
    found: Mask = np.zeros(len(usable), dtype=bool)
    least = 2 * COARSE * spreads[usable]
    for unit in units:
        digits = np.floor(np.log10(unit / least)).clip(len(str(unit)) - (unit == 1), ENDLESS)
        steps = unit * 10.0**-digits
        matters: Mask = (steps >= least) & _is_coarser(steps, learned[usable])
        scales = 10.0**digits / unit
        fits = ~_have_more(numbers[:FIRST, usable], scales)  # nearly always none is left
        matters = np.asarray(matters & fits, dtype=bool)
        left = np.flatnonzero(matters)
        matters[left] = _are_multiples(numbers[:, usable[left]], scales[left])
        found = np.asarray(found | matters, dtype=bool)
    return usable[found]


def are_fine(numbers: Values, decimals: Sequence[int], units: Sequence[int] = ()) -> Mask:
    """Return which columns (K,) are written with the step of the training, or ten times that.

    Args:
        numbers: (N, K) cells that were fetched together, NaN where missing.
        decimals: (K,) of the training; -1 for numbers without an end.
        units: (K,) of the training, see `step_of`; empty where nobody noted them.
    """
    learned = _steps([places if places >= 0 else ENDLESS for places in decimals], units)
    found = []
    for column, step in enumerate(learned.tolist()):
        cells = numbers[:, column]
        places, unit = step_of(cells) if len(units) else (_decimals(cells), 1)
        found.append(places >= 0 and not _is_coarser(_step(places, unit), 10 * step))
    return np.array(found, dtype=bool)


def step_of(cells: Values) -> tuple[int, int]:
    """Return with how many decimals numbers are written, and how many units of the last are a step.

    >>> step_of(np.array([20.5, 21.0])), step_of(np.array([20.25, 21.0])), step_of(np.array([20.3, 21.0]))
    ((1, 5), (2, 25), (1, 1))
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
    return unit * 10.0**-places if places >= 0 else np.inf  # all are missing


def _steps(places: Sequence[int] | Rows, units: Sequence[int]) -> Values:
    known = np.array(units) if len(units) else np.ones(len(places))
    return np.asarray(known * 10.0 ** -np.asarray(places, dtype=np.float64))


def _is_coarser(step: Any, learned: Any) -> Any:
    return step > learned * (1 + _EXACT)


def _are_multiples(numbers: Values, scales: Values) -> Mask:
    """Which columns (K,) of (N, K) hold nothing but whole numbers once multiplied by scales (K,)."""
    found: Mask = ~_have_more(numbers, scales) & ~np.isnan(numbers).all(axis=0)
    return found


def _have_more(numbers: Values, scales: Values) -> Mask:
    """Which columns (K,) of (N, K) hold a number that is none once multiplied by scales (K,)."""
    scaled = numbers * scales
    off = np.abs(scaled - np.rint(scaled)) > _EXACT + 4 * np.spacing(np.abs(scaled))
    found: Mask = np.asarray(off.any(axis=0), dtype=bool)
    return found


def _decimals(cells: Values) -> int:
    """Return with how many decimals numbers are written; -1 where all are missing."""
    for places in range(ENDLESS):
        if _are_multiples(cells[:, None], np.array([10.0**places]))[0]:
            return places
    return -1 if np.isnan(cells).all() else ENDLESS
