"""Conversion of features to columns: numbers in their units, booleans, and names of categories."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Floats, Mask
from aemon.detection.features.angles import as_degrees
from aemon.detection.features.columns import named_columns
from aemon.detection.features.feature_map import FeatureMap

LIKELY = 0.5
"""Least probability with which a boolean is shown as true."""


def as_columns(feature_map: FeatureMap, X: Floats) -> pd.DataFrame:  # noqa: N803 -- (N, F)
    """Return the judged columns of N records, in the order of the training frame.

    Numbers are clipped to plausible values (`FeatureMap.plausible`). For a boolean, the more
    probable value is returned; for a category, the most probable of the learned categories.
    """
    columns = cells_of(feature_map, X)
    for name in feature_map.booleans:
        columns[name] = columns[name] >= LIKELY
    judged = {name for name, _ in feature_map.judged}
    order = [report.column for report in feature_map.columns if report.column in judged]
    return pd.DataFrame({name: columns[name] for name in order})


def cells_of(feature_map: FeatureMap, X: Floats) -> dict[str, npt.NDArray[Any]]:  # noqa: N803
    """Return the cells (N,) of every learned column from features (N, F), in original units.

    For a boolean, the probability of true is returned; for a category, the most probable of the
    learned categories. Numbers and probabilities are clipped to plausible values.
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
    """Return a frame's values with estimates in place of missing judged cells.

    All other cells are unchanged. An unreadable cell counts as missing. A column keeps its type if
    the estimates fit this type.

    Args:
        feature_map: the detector's feature map.
        values: (N, columns) the frame's values; not modified.
        X: (N, F) features with estimates of the missing features.
        mask: (N, F) True where a feature was observed.
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
