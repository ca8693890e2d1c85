"""A threshold for each mode: scores of all modes on one scale, on which one threshold serves all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Rows, Values
from aemon.detection.thresholds.threshold import calibrate, records_to_show

TINY = 1e-9
"""Keeps a logarithm finite."""

LEAST_ROOM = 0.05
"""Of logarithms, between the median of a mode's scores and its threshold: with less, the scale is
moved and not stretched."""

MOST_STRETCHED = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ModeScale:
    """How scores of each mode become scores of all. Made by `fit_mode_scale`.

    On the scale of logarithms each mode is stretched and moved until the median of its normal
    scores and its threshold are those of all records. So one threshold keeps the promise for every
    mode, and scores, drift and recalibration need not know the mode. A mode with too few records,
    or one never seen, stays as it is.

    Attributes:
        slopes: (M,) of the modes in their order.
        offsets: (M,).
        apart: how many modes have a threshold of their own.
    """

    slopes: Values
    offsets: Values
    apart: int

    def common(self, scores: Values, codes: Rows) -> Values:
        """Return scores (N,) on the scale of all, of records in modes (N,); -1 or less is none."""
        slopes, offsets = self._of(codes)
        stretched: Values = np.exp(slopes * np.log(np.maximum(scores, TINY)) + offsets)
        as_is = (slopes == 1.0) & (offsets == 0.0)
        return np.where(as_is, scores, stretched)

    def own(self, scores: Values, codes: Rows) -> Values:
        """Return the inverse of `common`."""
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
        """Return all of it, for `from_json`."""
        return {
            "slopes": self.slopes.tolist(),
            "offsets": self.offsets.tolist(),
            "apart": self.apart,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "ModeScale | None":
        """Return the inverse of `as_json`; None of a detector without."""
        if not stored:
            return None
        return cls(
            slopes=np.array(stored["slopes"], dtype=np.float64),
            offsets=np.array(stored["offsets"], dtype=np.float64),
            apart=stored["apart"],
        )


def fit_mode_scale(
    scores: Values, codes: Rows, modes: int, settings: ThresholdSettings, rate: float
) -> ModeScale | None:
    """Learn the scale of each mode with 1 / rate calibration records; None without such a mode.

    Args:
        scores: (n,) of held-out normal records.
        codes: (n,) the mode of each; -1 or less is none.
        modes: M, how many there are.
        settings: how thresholds are drawn; a fixed one is one for all.
        rate: the promise.
    """
    if not modes or settings.method == "fixed":
        return None
    middle, threshold = _middle_and_threshold(scores, settings, rate)
    slopes, offsets, apart = np.ones(modes), np.zeros(modes), 0
    for mode in range(modes):
        mine = scores[codes == mode]
        if len(mine) < records_to_show(rate):
            continue
        own_middle, own_threshold = _middle_and_threshold(mine, settings, rate)
        if min(threshold - middle, own_threshold - own_middle) > LEAST_ROOM:
            slope = (threshold - middle) / (own_threshold - own_middle)
            slopes[mode] = np.clip(slope, 1 / MOST_STRETCHED, MOST_STRETCHED)
        offsets[mode] = threshold - slopes[mode] * own_threshold
        apart += 1
    return ModeScale(slopes=slopes, offsets=offsets, apart=apart) if apart else None


def _middle_and_threshold(
    scores: Values, settings: ThresholdSettings, rate: float
) -> tuple[float, float]:
    """The logarithms of the median of scores (n,) and of the threshold drawn from them."""
    drawn = calibrate(scores, rate, method=settings.method, critical_rate=settings.critical_rate)
    middle = float(np.log(max(float(np.median(scores)), TINY)))
    return middle, float(np.log(max(drawn.value, TINY)))
