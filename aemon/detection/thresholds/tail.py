"""The upper tail of normal scores: a generalised Pareto distribution of the scores' logarithms."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Values

TAIL_SHARE = 0.1
"""Share of the calibration scores that form the tail."""

LEAST_TAIL = 10
"""Least number of scores in the tail. If there are fewer than 20 scores, the tail has half of the
scores."""

LEAST_SHAPE, MOST_SHAPE = -0.25, 0.25
"""Bounds of the shape, because few scores cannot determine a shape. With a lower shape, the
threshold would fall to the largest score. With a higher shape, the threshold would become far too
large: for logarithms, a shape of 0 is already a power law of the score."""

PRIOR_RECORDS = 30
"""Weight of the prior shape 0 in the estimate of the shape, as a number of tail scores."""

LEAST_SCALE = 1e-6
TINY = 1e-30  # keeps the logarithm of a score of 0 finite


@dataclass(frozen=True, kw_only=True, slots=True)
class Tail:
    """The tail: the generalised Pareto distribution of log(score / start) for scores > start."""

    start: float
    share: float  # share of normal records with a score above start
    shape: float
    scale: float

    def p_values(self, scores: Values) -> Values:
        """Return the share (N,) of normal records with a higher score; `share` for low scores.

        A score is low if it is at most `start`.
        """
        with np.errstate(over="ignore"):  # a score that overflows gets a share of 0
            ratios = np.maximum(scores, TINY) / self.start
        excess = np.maximum(np.log(ratios), 0.0) / self.scale
        if abs(self.shape) < LEAST_SCALE:
            return self.share * np.exp(-excess)
        base = np.maximum(1.0 + self.shape * excess, 0.0)
        with np.errstate(divide="ignore"):
            return self.share * np.asarray(base ** (-1.0 / self.shape), dtype=np.float64)

    def score_at(self, rate: float) -> float:
        """Return the score that normal records exceed at this rate.

        The result is `start` if the rate is above `share`.
        """
        odds = max(1.0, self.share / rate)
        if abs(self.shape) < LEAST_SCALE:
            excess = np.log(odds)
        else:
            excess = (odds**self.shape - 1.0) / self.shape
        return float(self.start * np.exp(min(self.scale * excess, 600.0)))


def fit_tail(ordered: Values) -> Tail:
    """Fit the tail of ascending scores (n,) by probability-weighted moments.

    The excess of a score is log(score / start). Hosking & Wallis 1987, section 3: a0 is the mean
    excess; a1 is the mean of each excess times the share of excesses at or above this excess. Then
    shape = 2 - a0 / (a0 - 2 a1) and scale = 2 a0 a1 / (a0 - 2 a1). This function shrinks the shape
    towards 0 and bounds the shape. Then the mean gives the scale: scale = a0 (1 - shape).
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
