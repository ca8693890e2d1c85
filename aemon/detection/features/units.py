"""From features back to columns: numbers in their units, truths and categories by name."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Floats, Mask
from aemon.detection.features.angles import as_degrees
from aemon.detection.features.columns import named_columns
from aemon.detection.features.feature_map import FeatureMap

LIKELY = 0.5
"""A truth is told as true from this probability on."""


def as_columns(feature_map: FeatureMap, X: Floats) -> pd.DataFrame:  # noqa: N803 -- (N, F)
    """The judged columns of N records, in the order of the frame learned from.

    Numbers are held within what is plausible (`FeatureMap.plausible`), truths are whichever is
    likelier, categories the likeliest of those learned.
    """
    columns = cells_of(feature_map, X)
    for name in feature_map.booleans:
        columns[name] = columns[name] >= LIKELY
    judged = {name for name, _ in feature_map.judged}
    order = [report.column for report in feature_map.columns if report.column in judged]
    return pd.DataFrame({name: columns[name] for name in order})


def cells_of(feature_map: FeatureMap, X: Floats) -> dict[str, npt.NDArray[Any]]:  # noqa: N803
    """Every learned column's cells (N,) of features (N, F), in original units.

    Numbers, and truths as probabilities, no further than plausible; categories as the likeliest
    of those learned.
    """
    raw = X * feature_map.spreads + feature_map.means
    held = feature_map.plausible(raw)
    cells: dict[str, npt.NDArray[Any]] = {
        name: held[:, place] for place, name in enumerate(feature_map.scaled)
    }
    start = len(feature_map.scaled)
    for name, categories in feature_map.categorical:
        places = raw[:, start : start + len(categories)]
        cells[name] = np.array(categories, dtype=object)[places.argmax(axis=1)]
        start += len(categories) + 1
    for name, low in feature_map.angles:
        cells[name] = as_degrees(raw[:, start], raw[:, start + 1], low)
        start += 2
    return cells


def with_gaps_filled(
    feature_map: FeatureMap,
    values: pd.DataFrame,
    X: Floats,  # noqa: N803
    mask: Mask,
) -> pd.DataFrame:
    """A frame's values with every missing judged cell estimated; all others as they were.

    A cell that cannot be read is a missing one. A column keeps its type where its estimates fit.

    Args:
        feature_map: the detector's.
        values: (N, columns) the frame's; not modified.
        X: (N, F) features without gaps.
        mask: (N, F), which cells were observed.
    """
    estimates = as_columns(feature_map, X)
    names = [name for name, _ in feature_map.judged]
    missing = dict(zip(names, feature_map.missing(mask).T, strict=True))
    filled = values.copy()
    for given, name in zip(values.columns, named_columns(values).columns, strict=True):
        if name in missing and missing[name].any():
            filled[given] = _joined(values[given], estimates[name], missing[name])
    return filled


def _joined(cells: "pd.Series[Any]", estimates: "pd.Series[Any]", missing: Mask) -> Any:
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f":
        return np.where(missing, estimates, cells)
    both = cells.astype(object).to_numpy(copy=True)
    both[missing] = estimates.to_numpy(dtype=object)[missing]
    return pd.Series(both, index=cells.index, dtype=object).infer_objects()
