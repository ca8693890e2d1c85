"""The upper tail of normal scores: a generalised Pareto distribution of their logarithms."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Values

TAIL_SHARE = 0.1
"""Share of the calibration scores that make the tail."""

LEAST_TAIL = 10
"""Scores the tail is fitted to at least, as far as half of them reach."""

LEAST_SHAPE, MOST_SHAPE = -0.25, 0.25
"""Bounds of the shape. Few scores cannot tell it: below, the line would fall upon the largest
score seen; above, it would run away. In logarithms 0 is already a power law of the score."""

PRIOR_RECORDS = 30
"""Weight, in tail scores, of the guess that the shape is 0."""

LEAST_SCALE = 1e-6
TINY = 1e-30  # keeps the logarithm of a score of 0 finite


@dataclass(frozen=True, kw_only=True, slots=True)
class Tail:
    """Scores above `start` follow a generalised Pareto distribution in log(score / start)."""

    start: float
    share: float  # of normal records, above start
    shape: float
    scale: float

    def p_values(self, scores: Values) -> Values:
        """How often a normal record scores higher (N,); `share` at the start and below."""
        with np.errstate(over="ignore"):  # a score beyond all reason is endlessly rare
            ratios = np.maximum(scores, TINY) / self.start
        excess = np.maximum(np.log(ratios), 0.0) / self.scale
        if abs(self.shape) < LEAST_SCALE:
            return self.share * np.exp(-excess)
        base = np.maximum(1.0 + self.shape * excess, 0.0)
        with np.errstate(divide="ignore"):
            return self.share * np.asarray(base ** (-1.0 / self.shape), dtype=np.float64)

    def score_at(self, rate: float) -> float:
        """The score that normal records exceed at this rate; the start for a rate above `share`."""
        odds = max(1.0, self.share / rate)
        if abs(self.shape) < LEAST_SCALE:
            excess = np.log(odds)
        else:
            excess = (odds**self.shape - 1.0) / self.shape
        return float(self.start * np.exp(min(self.scale * excess, 600.0)))


def fit_tail(ordered: Values) -> Tail:
    """Fit the tail of ascending scores (n,) by probability-weighted moments.

    Hosking & Wallis 1987, section 3: a0 = mean excess, a1 = mean of excess times the share at or
    above it; shape = 2 - a0 / (a0 - 2 a1), scale = 2 a0 a1 / (a0 - 2 a1). The shape is drawn
    towards 0 and bounded; the scale then follows from the mean, scale = a0 (1 - shape).
    """
    n = len(ordered)
    k = int(np.clip(round(TAIL_SHARE * n), min(LEAST_TAIL, n // 2), n - 1)) if n > 1 else 0
    start = float(max(ordered[n - k - 1], TINY))
    share = (1 + k) / (n + 1)
    if k == 0:
        return Tail(start=start, share=share, shape=0.0, scale=1.0)
    excess = np.log(np.maximum(ordered[n - k :], TINY) / start)  # ascending
    above = (k - np.arange(1, k + 1) + 0.35) / k
    a0 = float(excess.mean())
    a1 = float((above * excess).mean())
    shape = 2.0 - a0 / (a0 - 2.0 * a1) if a0 - 2.0 * a1 > LEAST_SCALE else 0.0
    shape = float(np.clip(shape * k / (k + PRIOR_RECORDS), LEAST_SHAPE, MOST_SHAPE))
    return Tail(start=start, share=share, shape=shape, scale=max(a0 * (1.0 - shape), LEAST_SCALE))
