"""Ways to draw a line through normal scores, so that they cross it at a given rate."""

from statistics import NormalDist

import numpy as np

from aemon.config.threshold_settings import Method
from aemon.detection.arrays import Values
from aemon.detection.thresholds.tail import TINY, Tail

MOST_LOG = 600.0  # of a score: its exponential, and the ratio of two, stay finite


def draw(method: Method, ordered: Values, tail: Tail, rate: float) -> tuple[float, Method]:
    """The line, and the method that drew it.

    Conformal turns to the tail for rates that n scores cannot show, and the tail turns to
    conformal for rates beyond its share of them.

    Args:
        method: any but `fixed`, which draws nothing.
        ordered: (n,) normal scores, ascending, n > 0.
        tail: fitted to them.
        rate: share of normal records above the line.
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
    """Scores on or over a conformal line, the largest being 1; 0 if so few cannot show the rate."""
    return int(np.floor(rate * (records + 1) * (1 + 1e-12)))


def conformal(top: Values, records: int, tail: Tail, rate: float) -> float:
    """The conformal line of `records` scores, of which `top` are the largest, ascending.

    Vovk et al. 2005, proposition 2.4: a record exchangeable with n others scores above their
    rank-th largest with a chance of at most rank / (n + 1). Rarer rates than 1 / (n + 1) take
    the tail's line, but never a lower one than the largest score, which alone promises too little.
    """
    rank = conformal_rank(records, rate)
    if rank >= 1:
        return float(top[-rank])
    return max(tail.score_at(rate), float(top[-1]))


def _sigma(ordered: Values, rate: float) -> float:
    """Mean and k standard deviations of the log scores, k being the normal quantile of the rate.

    Scores of 0 have no logarithm and are left out: they are of records with nothing in them.
    """
    logs = np.log(ordered[ordered > TINY])
    if not len(logs):
        return TINY
    k = NormalDist().inv_cdf(1.0 - rate)
    return float(np.exp(min(logs.mean() + k * logs.std(), MOST_LOG)))
