"""Thresholds of modes: conversion of all scores to one scale, so that one threshold suffices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Rows, Values
from aemon.detection.thresholds.threshold import calibrate, records_to_show

TINY = 1e-9
"""Least score of which a logarithm is computed, so that the logarithm of a score of 0 is finite."""

LEAST_ROOM = 0.05
"""Least difference between the logarithm of a threshold and the logarithm of the median score. With
a smaller difference, a mode's scores are only moved, and not stretched."""

MOST_STRETCHED = 4.0
"""Largest slope of a mode's scale; its inverse is the least slope."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModeScale:
    """The conversion of each mode's scores to a common scale. `fit_mode_scale` makes it.

    The logarithm of a mode's score is multiplied by a slope, and an offset is added. After that,
    the mode's normal scores have the same median and the same threshold as the scores of all
    records. So one threshold keeps the target rate for every mode, and scores, drift and
    recalibration do not depend on the mode. The scores of an unknown mode, or of a mode with too
    few records, do not change.

    Attributes:
        slopes: (M,) slope of each mode; 1 if the scores do not change.
        offsets: (M,) offset of each mode; 0 if the scores do not change.
        calibrated: number of modes with a slope and an offset from their own records.
    """

    slopes: Values
    offsets: Values
    calibrated: int

    def common(self, scores: Values, codes: Rows) -> Values:
        """Return scores (N,) on the common scale; a code (N,) below 0 stands for no known mode."""
        slopes, offsets = self._of(codes)
        stretched: Values = np.exp(slopes * np.log(np.maximum(scores, TINY)) + offsets)
        as_is = (slopes == 1.0) & (offsets == 0.0)
        return np.where(as_is, scores, stretched)

    def own(self, scores: Values, codes: Rows) -> Values:
        """Convert scores (N,) from the common scale to the scale of each record's mode."""
        slopes, offsets = self._of(codes)
        found: Values = np.exp((np.log(np.maximum(scores, TINY)) - offsets) / slopes)
        return found

    def _of(self, codes: Rows) -> tuple[Values, Values]:
        known = codes >= 0
        places = np.where(known, codes, 0)
        return (
            np.where(known, self.slopes[places], 1.0),
            np.where(known, self.offsets[places], 0.0),
        )

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {
            "slopes": self.slopes.tolist(),
            "offsets": self.offsets.tolist(),
            "apart": self.calibrated,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "ModeScale | None":
        """Return the scale that `as_json` wrote; None for a detector without a scale."""
        if not stored:
            return None
        return cls(
            slopes=np.array(stored["slopes"], dtype=np.float64),
            offsets=np.array(stored["offsets"], dtype=np.float64),
            calibrated=stored["apart"],
        )


def fit_mode_scale(
    scores: Values, codes: Rows, modes: int, settings: ThresholdSettings, rate: float
) -> ModeScale | None:
    """Fit the scale of each mode with at least 1 / rate calibration records; None if there is none.

    Args:
        scores: (n,) scores of held-out normal records.
        codes: (n,) the code of each record's mode; a code below 0 stands for no known mode.
        modes: M, the number of modes.
        settings: the method for thresholds; with a fixed threshold the result is None.
        rate: the target rate.
    """
    if not modes or settings.method == "fixed":
        return None
    middle, threshold = _middle_and_threshold(scores, settings, rate)
    slopes, offsets, calibrated = np.ones(modes), np.zeros(modes), 0
    for mode in range(modes):
        of_mode = scores[codes == mode]
        if len(of_mode) < records_to_show(rate):
            continue
        own_middle, own_threshold = _middle_and_threshold(of_mode, settings, rate)
        if min(threshold - middle, own_threshold - own_middle) > LEAST_ROOM:
            slope = (threshold - middle) / (own_threshold - own_middle)
            slopes[mode] = np.clip(slope, 1 / MOST_STRETCHED, MOST_STRETCHED)
        offsets[mode] = threshold - slopes[mode] * own_threshold
        calibrated += 1
    return ModeScale(slopes=slopes, offsets=offsets, calibrated=calibrated) if calibrated else None


def _middle_and_threshold(
    scores: Values, settings: ThresholdSettings, rate: float
) -> tuple[float, float]:
    """Return the logarithms of the median of scores (n,) and of their threshold."""
    found = calibrate(scores, rate, method=settings.method, critical_rate=settings.critical_rate)
    middle = float(np.log(max(float(np.median(scores)), TINY)))
    return middle, float(np.log(max(found.value, TINY)))
