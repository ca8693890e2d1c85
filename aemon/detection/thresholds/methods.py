"""Methods to compute a threshold that normal scores exceed at a given rate."""

from statistics import NormalDist

import numpy as np

from aemon.config.threshold_settings import Method
from aemon.detection.arrays import Values
from aemon.detection.thresholds.tail import TINY, Tail

MOST_LOG = 600.0  # of a score: its exponential, and the ratio of two of them, stay finite


def compute_value(method: Method, ordered: Values, tail: Tail, rate: float) -> tuple[float, Method]:
    """Return the value of a threshold, and the method that was used in the end.

    The method `conformal` uses the tail for rates that n scores cannot show. The method `evt` uses
    `conformal` for rates of at least the share of scores in the tail.

    Args:
        method: any method except `fixed`, which computes nothing.
        ordered: (n,) normal scores, ascending, n > 0.
        tail: the tail fitted to these scores.
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
    """Return the rank of the score at a conformal threshold; the largest score has rank 1.

    It is 0 if the records are too few to show the rate.
    """
    return int(np.floor(rate * (records + 1) * (1 + 1e-12)))


def conformal(top: Values, records: int, tail: Tail, rate: float) -> float:
    """Return the conformal threshold of `records` scores; `top` holds the largest ones, ascending.

    Vovk et al. 2005, proposition 2.4: a record exchangeable with n others scores above their
    rank-th largest with a chance of at most rank / (n + 1). For rates below 1 / (n + 1) the
    threshold comes from the tail, but it is never below the largest score.
    """
    rank = conformal_rank(records, rate)
    if rank >= 1:
        return float(top[-rank])
    return max(tail.score_at(rate), float(top[-1]))


def _sigma(ordered: Values, rate: float) -> float:
    """Return exp(mean + k standard deviations) of log scores; k is the normal quantile of the rate.

    Scores of 0 have no logarithm and are left out: they belong to records without observed cells.
    """
    logs = np.log(ordered[ordered > TINY])
    if not len(logs):
        return TINY
    k = NormalDist().inv_cdf(1.0 - rate)
    return float(np.exp(min(logs.mean() + k * logs.std(), MOST_LOG)))
