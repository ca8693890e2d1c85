"""Methods to compute a threshold that normal scores exceed at a given rate."""

from statistics import NormalDist

import numpy as np

from aemon.config.threshold_settings import Method
from aemon.detection.arrays import Values
from aemon.detection.thresholds.tail import TINY, Tail

MOST_LOG = 600.0  # largest logarithm of a score: exp(600), and ratios of scores, stay finite


def compute_value(method: Method, ordered: Values, tail: Tail, rate: float) -> tuple[float, Method]:
    """Return the value of a threshold, and the method that computed the value.

    If n scores are too few to show the rate, the tail replaces the method `conformal`. If the rate
    is at least the share of scores in the tail, `conformal` replaces the method `evt`.

    Args:
        method: the configured method; any method except `fixed`, which needs no computation.
        ordered: (n,) normal scores, ascending, n > 0.
        tail: the tail that was fitted to these scores.
        rate: share of normal records above the threshold.
    """
    n = len(ordered)
    if method == "quantile":
        return float(np.quantile(ordered, 1.0 - rate, method="higher")), method
    if method == "sigma":
        return _sigma(ordered, rate), method
    if method == "evt" and rate < tail.share:
        return tail.score_at(rate), method
    shown: Method = "conformal" if conformal_rank(n, rate) >= 1 else "evt"
    return conformal(ordered, n, tail, rate), shown


def conformal_rank(records: int, rate: float) -> int:
    """Return the rank of the score that is the conformal threshold; the largest score has rank 1.

    The rank is 0 if the records are too few to show the rate.
    """
    return int(np.floor(rate * (records + 1) * (1 + 1e-12)))


def conformal(top: Values, records: int, tail: Tail, rate: float) -> float:
    """Return the conformal threshold for this rate.

    Vovk et al. 2005, proposition 2.4: let a record be exchangeable with n other records. The
    probability that its score is above the score at a rank of the n records is at most
    rank / (n + 1). For rates below 1 / (n + 1), the threshold comes from the tail, but is never
    below the largest score.

    Args:
        top: the largest scores, ascending; all scores down to the rank of the threshold.
        records: number n of all scores.
        tail: the tail that was fitted to the scores.
        rate: share of normal records above the threshold.
    """
    rank = conformal_rank(records, rate)
    if rank >= 1:
        return float(top[-rank])
    return max(tail.score_at(rate), float(top[-1]))


def _sigma(ordered: Values, rate: float) -> float:
    """Return exp(mean + k standard deviations) of the logarithms of scores.

    The factor k is the quantile 1 - rate of the normal distribution. Scores of 0 have no logarithm
    and are left out; a record without observed cells has a score of 0.
    """
    logs = np.log(ordered[ordered > TINY])
    if not len(logs):
        return TINY
    k = NormalDist().inv_cdf(1.0 - rate)
    return float(np.exp(min(logs.mean() + k * logs.std(), MOST_LOG)))
