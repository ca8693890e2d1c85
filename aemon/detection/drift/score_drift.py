"""Drift of the scores: a test that their bulk has moved, which raises its voice seldom wrongly.

A conformal test martingale (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson & Gammerman 2021, "Retrain
or not retrain"): money is bet that p-values are lower, or higher, than those of normal life, and
how much of it there is says how strong the evidence is. Whoever could win at this with records
like those of the calibration would win against a fair game: by Ville's inequality the chance that
1 ever becomes 1/alpha is at most alpha, however long it goes on.

- Only records that are not over their line bet, with p-values that are uniform given just that. So
  a fault, whose records are over the line, is silence here: it is no drift.
- Records that follow each other are alike: of each block of as many as make one independent record,
  the mean is bet on.
- The calibration is a sample. The mean of its true p-values is off 1/2 by more than
  sqrt(ln(2/c) / 6n) with a chance of at most c, for n independent records (a uniform variable is
  sub-Gaussian with its own variance 1/12). Every bet pays that much, so what chance made is no win.
- The money is laid out over time, a share of what is left with every bet, and is not lost before
  the drift begins: 1 / (t ln^2 t) of it is fresh at the t-th bet.
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
"""Usual chance that evidence of drift is ever found where there is none."""

MOST_SLACK = 0.5
"""No mean of p-values is further from 1/2: a calibration that allows it proves nothing."""

RICH = 1e200
"""Evidence is counted no further."""

Way = Literal["grown", "shrunk"]


@dataclass(frozen=True, kw_only=True)
class ScoreDrift:
    """How much evidence there is that scores have drifted. Begun by `watch_scores`.

    Attributes:
        every: records of a block: one bet.
        slack: what each bet pays for the calibration being a sample.
        bets: made so far.
        unspent: money that waits for a drift that is yet to begin.
        grown: money on scores that have grown.
        shrunk: money on scores that have shrunk.
        seen: records of the block under way, those over their line included.
        betting: of these, the ones that are not.
        total: sum of their p-values.
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
        """The evidence after N more records in the order of time.

        Args:
            p_values: (N,) `bulk_p_values`; NaN for a record that does not bet.
        """
        first = min(self.every - self.seen, len(p_values))
        blocks = (len(p_values) - first) // self.every
        state = _with(self, p_values[:first])
        whole = p_values[first : first + blocks * self.every].reshape(blocks, self.every)
        betting = (~np.isnan(whole)).sum(axis=1)
        there = betting > 0
        state = _bet(state, np.nansum(whole[there], axis=1) / betting[there])
        return _with(state, p_values[first + blocks * self.every :])

    @property
    def log10_evidence(self) -> float:
        """How often over 1 has become more, as a power of ten; 2 is seen once in 100 lives."""
        return log10(self.unspent + self.grown + self.shrunk)

    @property
    def log10_grown(self) -> float:
        """The same, had all money been on scores that grow.

        A detector is tried on records as none it has seen: what it then knows scores a little less,
        and that is no drift. Where records become less odd for good, lines come down by themselves.
        """
        return log10(self.unspent + 2.0 * self.grown)

    @property
    def way(self) -> Way:
        """Which way the scores went, if they did."""
        return "grown" if self.grown >= self.shrunk else "shrunk"

    def has_grown(self, alpha: float = ALPHA) -> bool:
        """Whether records have become odder, by the evidence for just that; as `drifted`."""
        return self.log10_grown >= -log10(alpha)

    def drifted(self, alpha: float = ALPHA) -> bool:
        """Whether the evidence is such as normal life gives with a chance of at most alpha."""
        return self.log10_evidence >= -log10(alpha)

    def as_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ScoreDrift":
        """The inverse of `as_json`."""
        return cls(**stored)


def watch_scores(threshold: Threshold) -> ScoreDrift:
    """No evidence yet, for scores whose calibration is that of a line, as drawn at training."""
    slack = sqrt(log(2 / CALIBRATION_CHANCE) / (6 * threshold.independent))
    return ScoreDrift(
        every=max(1, ceil(threshold.records / threshold.independent)), slack=min(slack, MOST_SLACK)
    )


def bulk_p_values(thresholds: Thresholds, scores: Values, entities: Texts) -> Values:
    """p-values (N,) of scores given that they are not over their line; NaN where they are.

    Uniform on (0, 1) for normal records. Of a score that occurs in the calibration the middle of
    its p-values is taken, so that equal scores move the mean neither up nor down.

    Args:
        thresholds: as drawn at training: drift is away from what it saw.
        scores: (N,).
        entities: (N,).
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
    """The evidence after some more records of the block under way, which may complete it."""
    there = p_values[~np.isnan(p_values)]
    seen = state.seen + len(p_values)
    betting, total = state.betting + len(there), state.total + float(there.sum())
    if seen < state.every:
        return replace(state, seen=seen, betting=betting, total=total)
    means = np.array([total / betting] if betting else [])
    return _bet(replace(state, seen=0, betting=0, total=0.0), means)


def _bet(state: ScoreDrift, means: Values) -> ScoreDrift:
    """The evidence after blocks of records whose p-values have these means, in order."""
    bets, unspent, grown, shrunk = state.bets, state.unspent, state.grown, state.shrunk
    for mean in means.tolist():
        low = 0.5 - mean
        fresh = unspent / ((bets + 2) * log(bets + 3))
        grown = min((grown + fresh / 2) * (1.0 + low - state.slack), RICH)
        shrunk = min((shrunk + fresh / 2) * (1.0 - low - state.slack), RICH)
        bets, unspent = bets + 1, unspent - fresh
    return replace(state, bets=bets, unspent=unspent, grown=grown, shrunk=shrunk)
