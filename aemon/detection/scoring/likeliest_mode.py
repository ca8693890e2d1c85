"""Choice of the mode that fits a record best, for records without a mode."""

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.modes import MISSING
from aemon.detection.scoring.scorer import Scorer


def fill_modes(
    feature_map: FeatureMap, scorer: Scorer, codes: Rows, features: Floats, mask: Mask
) -> Rows:
    """Fill in the likeliest mode of records without a mode; return the modes (N,) of all records.

    The likeliest mode of a record is the mode with the lowest score, so a record is not unusual
    only because its mode is missing. A mode that is not in the training set keeps its code.

    Args:
        feature_map: feature map with a mode.
        scorer: scorer of the detector.
        codes: (N,) codes of the modes, as in `Modes`.
        features: (N, F) features of the records; modified.
        mask: (N, F) True where a feature was observed; modified.
    """
    places = len(feature_map.mode or ())
    rows = np.flatnonzero(codes < 0)
    if not places or not rows.size:
        return codes
    at = slice(len(feature_map) - places, len(feature_map))
    each = (np.eye(places) - feature_map.means[at]) / feature_map.spreads[at]
    trial, known = features[rows], mask[rows]
    known[:, at] = True
    scores = np.empty((places, len(rows)))
    for place in range(places):
        trial[:, at] = each[place]
        scores[place] = scorer.scores(trial, known)
    likeliest = scores.argmin(axis=0)
    features[np.ix_(rows, np.arange(at.start, at.stop))] = each[likeliest]
    mask[rows, at] = True
    found = codes.copy()
    found[rows] = np.where(codes[rows] == MISSING, likeliest, codes[rows])
    return found
