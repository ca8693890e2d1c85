"""Drift of scores: a test whether their bulk has moved, with a bounded chance of a false alarm.

The test is a conformal test martingale (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson & Gammerman
2021, "Retrain or not retrain"). It bets money that p-values are lower, or higher, than those of
normal data; the amount of money is the strength of the evidence. With records like those of the
calibration, the bets are a fair game. By Ville's inequality, the chance that 1 ever becomes 1/alpha
is at most alpha, for any number of records.

- Only records at or below their threshold take part, with p-values that are uniform under this
  condition. So a fault, with records over the threshold, adds no evidence: it is not drift.
- Consecutive records depend on each other. So each bet is on the mean of a block, with as many
  records as one independent record is worth.
- The calibration is a sample of n independent records. The mean of its true p-values differs from
  1/2 by more than sqrt(ln(2/c) / 6n) with a chance of at most c. (A uniform variable is
  sub-Gaussian with its own variance 1/12.) Every bet pays this amount, so that a calibration which
  is off by chance wins no money.
- The money is spent over time, a share of the rest with every bet, so that it is not lost before
  drift begins. At the t-th bet, 1 / (t ln^2 t) of the money is new.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil, log, log10, sqrt
from typing import Any, Literal

import numpy as np

from aemon.detection.arrays import Texts, Values
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.threshold import Threshold

CALIBRATION_CHANCE = 0.01
"""Chance that a calibration is further from the truth than the bets allow for."""

ALPHA = 0.01
"""Default chance that drift is ever found without any drift."""

MOST_SLACK = 0.5
"""Largest slack of a bet. No mean of p-values is further from 1/2, so with this slack there is
never evidence."""

RICH = 1e200
"""Largest amount of evidence that is counted."""

Way = Literal["grown", "shrunk"]


@dataclass(frozen=True, kw_only=True)
class ScoreDrift:
    """The evidence that scores have drifted. Begun by `watch_scores`.

    Attributes:
        every: records of a block, which is one bet.
        slack: amount that each bet pays because the calibration is a sample.
        bets: number of bets so far.
        unspent: money for later bets.
        grown: money on scores that have grown.
        shrunk: money on scores that have shrunk.
        seen: records of the current block, including those over their threshold.
        betting: records of the current block at or below their threshold.
        total: sum of the p-values of these records.
    """

    every: int
    slack: float
    bets: int = 0
    unspent: float = 1.0
    grown: float = 0.0
    shrunk: float = 0.0
    seen: int = 0
    betting: int = 0
    total: float = 0.0

    def after(self, p_values: Values) -> "ScoreDrift":
        """Return the evidence after N more records in the order of time.

        Args:
            p_values: (N,) `bulk_p_values`; NaN for a record that does not take part.
        """
        first = min(self.every - self.seen, len(p_values))
        blocks = (len(p_values) - first) // self.every
        state = _with(self, p_values[:first])
        whole = p_values[first : first + blocks * self.every].reshape(blocks, self.every)
        betting = (~np.isnan(whole)).sum(axis=1)
        filled = betting > 0
        state = _bet(state, np.nansum(whole[filled], axis=1) / betting[filled])
        return _with(state, p_values[first + blocks * self.every :])

    @property
    def log10_evidence(self) -> float:
        """Evidence as log10 of all money; without drift, at most 1 of 100 monitors reaches 2."""
        return log10(self.unspent + self.grown + self.shrunk)

    @property
    def log10_grown(self) -> float:
        """Evidence as log10 of the money if all of it had been on growing scores.

        Calibration scores are of records that are unknown to the members that scored them. Later
        records of a known kind have slightly lower scores, and that is not drift. If scores fall
        for good, recalibration lowers the thresholds.
        """
        return log10(self.unspent + 2.0 * self.grown)

    @property
    def way(self) -> Way:
        """Direction in which the scores moved, if they did."""
        return "grown" if self.grown >= self.shrunk else "shrunk"

    def has_grown(self, alpha: float = ALPHA) -> bool:
        """Return whether scores have grown, by the evidence of growth alone; as `drifted`."""
        return self.log10_grown >= -log10(alpha)

    def drifted(self, alpha: float = ALPHA) -> bool:
        """Return whether normal data would give this evidence with a chance of at most alpha."""
        return self.log10_evidence >= -log10(alpha)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ScoreDrift":
        """Return the evidence that `as_json` wrote."""
        return cls(**stored)


def watch_scores(threshold: Threshold) -> ScoreDrift:
    """Return the initial evidence, for scores with the calibration of a threshold at training."""
    slack = sqrt(log(2 / CALIBRATION_CHANCE) / (6 * threshold.independent))
    return ScoreDrift(
        every=max(1, ceil(threshold.records / threshold.independent)), slack=min(slack, MOST_SLACK)
    )


def bulk_p_values(thresholds: Thresholds, scores: Values, entities: Texts) -> Values:
    """Return p-values (N,) of scores, given that they are not over their threshold; NaN above it.

    They are uniform on (0, 1) for normal records. A score that occurs in the calibration gets the
    middle of its p-values, so that equal scores move the mean neither up nor down.

    Args:
        thresholds: as computed at training, from which drift is measured.
        scores: (N,) of the records.
        entities: (N,) the entity of each record.
    """
    found = np.full(len(scores), np.nan)
    for threshold, rows in thresholds.parts(entities):
        part = scores[rows]
        at = threshold.judge(np.array([np.nextafter(threshold.value, np.inf)]))[0]
        above = threshold.judge(np.nextafter(part, np.inf))
        middle = (threshold.judge(part) + above - 1.0 / (threshold.records + 1.0)) / 2
        given = np.clip((middle - at) / (1.0 - at), 0.0, 1.0)
        found[rows] = np.where(part > threshold.value, np.nan, given)
    return found


def _with(state: ScoreDrift, p_values: Values) -> ScoreDrift:
    """Return the evidence after more records of the current block, which may complete it."""
    present = p_values[~np.isnan(p_values)]
    seen = state.seen + len(p_values)
    betting, total = state.betting + len(present), state.total + float(present.sum())
    if seen < state.every:
        return replace(state, seen=seen, betting=betting, total=total)
    means = np.array([total / betting] if betting else [])
    return _bet(replace(state, seen=0, betting=0, total=0.0), means)


def _bet(state: ScoreDrift, means: Values) -> ScoreDrift:
    """Return the evidence after blocks of records with these mean p-values, in order."""
    bets, unspent, grown, shrunk = state.bets, state.unspent, state.grown, state.shrunk
    for mean in means.tolist():
        low = 0.5 - mean
        fresh = unspent / ((bets + 2) * log(bets + 3))
        grown = min((grown + fresh / 2) * (1.0 + low - state.slack), RICH)
        shrunk = min((shrunk + fresh / 2) * (1.0 - low - state.slack), RICH)
        bets, unspent = bets + 1, unspent - fresh
    return replace(state, bets=bets, unspent=unspent, grown=grown, shrunk=shrunk)
