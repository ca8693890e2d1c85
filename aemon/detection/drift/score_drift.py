"""Drift of scores: a test whether most scores have moved, with a bounded chance of a false alarm.

The test is a conformal test martingale (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson & Gammerman
2021, "Retrain or not retrain"). The test starts with an amount of money of 1. It bets this money
that p-values are lower, or higher, than the p-values of normal data. The amount of money is the
strength of the evidence. If new records are like the calibration records, the bets are a fair game.
Then, by Ville's inequality, the probability that the money ever becomes 1/alpha is at most alpha,
for any number of records.

- Only records at or below their threshold take part. Under this condition, the p-values of normal
  records are uniform. A fault has records over the threshold, and adds no evidence of drift.
- Consecutive records depend on each other. So each bet is on the mean p-value of a block of
  records. A block is so large that it carries the information of one independent record.
- The calibration is a sample of n independent records. The mean of its true p-values differs from
  1/2 by more than sqrt(ln(2/c) / 6n) with a probability of at most c. (A uniform variable is
  sub-Gaussian with its own variance 1/12.) Every bet pays this amount, so that a chance difference
  of the calibration wins no money.
- Each bet uses only a share of the money that is not used yet, so that money is left when drift
  begins. At the t-th bet, 1 / (t ln^2 t) of the money is used for the first time.
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
"""Largest probability that the mean of the calibration's true p-values differs from 1/2 by more
than the slack of the bets."""

ALPHA = 0.01
"""Default bound of the probability that drift is ever found in data without drift."""

MOST_SLACK = 0.5
"""Largest slack of a bet. The mean of p-values never differs from 1/2 by more than this slack, so a
bet with this slack gives no evidence."""

RICH = 1e200
"""Largest amount of money in each direction: in bets on growing scores, and in bets on shrinking
scores. The limit prevents an overflow."""

Way = Literal["grown", "shrunk"]


@dataclass(frozen=True, kw_only=True)
class ScoreDrift:
    """The evidence that scores have drifted. `watch_scores` returns the initial evidence.

    Attributes:
        every: number of records in a block; each block is one bet.
        slack: amount that each bet pays because the calibration is a sample.
        bets: number of bets so far.
        unspent: money for later bets.
        grown: money in bets that the scores have grown.
        shrunk: money in bets that the scores have shrunk.
        seen: number of records in the current block, including records over their threshold.
        betting: number of records in the current block at or below their threshold.
        total: sum of the p-values of the records counted in `betting`.
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
            p_values: (N,) results of `bulk_p_values`; NaN for a record that does not take part.
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
        """Evidence of drift: log10 of all money.

        Without drift, the evidence of at most 1 of 100 monitors ever reaches 2.
        """
        return log10(self.unspent + self.grown + self.shrunk)

    @property
    def log10_grown(self) -> float:
        """Evidence of growth: log10 of the money if all bets were on growing scores.

        Calibration records were scored by members that did not learn from these records. Later
        normal records can have slightly lower scores, and this is not drift. If scores fall
        lastingly, recalibration lowers the thresholds.
        """
        return log10(self.unspent + 2.0 * self.grown)

    @property
    def way(self) -> Way:
        """Direction in which the scores moved, if they have moved."""
        return "grown" if self.grown >= self.shrunk else "shrunk"

    def has_grown(self, alpha: float = ALPHA) -> bool:
        """Return whether normal data gives this evidence of growth with probability <= alpha."""
        return self.log10_grown >= -log10(alpha)

    def drifted(self, alpha: float = ALPHA) -> bool:
        """Return whether normal data gives this evidence of drift with probability <= alpha."""
        return self.log10_evidence >= -log10(alpha)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ScoreDrift":
        """Return the evidence that `as_json` wrote."""
        return cls(**stored)


def watch_scores(threshold: Threshold) -> ScoreDrift:
    """Return the initial evidence, for scores that are judged by a threshold from the training."""
    slack = sqrt(log(2 / CALIBRATION_CHANCE) / (6 * threshold.independent))
    return ScoreDrift(
        every=max(1, ceil(threshold.records / threshold.independent)), slack=min(slack, MOST_SLACK)
    )


def bulk_p_values(thresholds: Thresholds, scores: Values, entities: Texts) -> Values:
    """Return p-values (N,) of scores; NaN for a score above its threshold.

    The p-values are conditional: they are uniform on (0, 1) for normal records at or below their
    threshold. For a score that is equal to a calibration score, there is a lowest and a highest
    possible p-value. The middle of both is returned, so that equal scores do not change the mean.

    Args:
        thresholds: the thresholds as computed at training. Drift is measured from these thresholds.
        scores: (N,) the score of each record.
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
    """Return the evidence after more records of the current block; a complete block is one bet."""
    present = p_values[~np.isnan(p_values)]
    seen = state.seen + len(p_values)
    betting, total = state.betting + len(present), state.total + float(present.sum())
    if seen < state.every:
        return replace(state, seen=seen, betting=betting, total=total)
    means = np.array([total / betting] if betting else [])
    return _bet(replace(state, seen=0, betting=0, total=0.0), means)


def _bet(state: ScoreDrift, means: Values) -> ScoreDrift:
    """Return the evidence after complete blocks of records, from the mean p-value of each block."""
    bets, unspent, grown, shrunk = state.bets, state.unspent, state.grown, state.shrunk
    for mean in means.tolist():
        low = 0.5 - mean
        fresh = unspent / ((bets + 2) * log(bets + 3))
        grown = min((grown + fresh / 2) * (1.0 + low - state.slack), RICH)
        shrunk = min((shrunk + fresh / 2) * (1.0 - low - state.slack), RICH)
        bets, unspent = bets + 1, unspent - fresh
    return replace(state, bets=bets, unspent=unspent, grown=grown, shrunk=shrunk)
